//! One suite for all engines and wrappers; run again as an unprivileged user by `unprivileged`.

mod cases;
mod harness;
mod probe;
mod unprivileged;

macro_rules! run_suite {
    ($($engine:ident),* ; $cases:tt) => { $( run_suite!(@ $engine $cases); )* };
    (@ $engine:ident { $($case:ident,)* }) => {
        mod $engine {
            $(
                #[test]
                fn $case() {
                    if let Some(bench) = crate::harness::Bench::new(crate::harness::$engine) {
                        crate::cases::$case(&bench);
                    }
                }
            )*
        }
    };
}

run_suite! {
    io_uring_registered, io_uring, pread_pool, pread_pool_of_one, measured, limited, fault_engine_without_faults;
    {
        what_was_written_is_read_back,
        the_same_buffer_comes_back_with_the_completion,
        transfers_longer_than_one_call_are_continued,
        a_read_past_the_end_of_the_file_is_an_error_that_says_how_far_it_came,
        an_error_of_the_system_reaches_the_one_who_waits,
        an_unaligned_request_to_a_direct_file_is_refused_and_changes_nothing,
        many_requests_at_once_complete_once_each_with_the_right_bytes,
        submitters_wait_for_room_in_a_short_queue,
        a_sync_succeeds_with_and_without_writes_before_it,
        closing_completes_what_was_accepted_and_refuses_what_comes_later,
        a_dropped_engine_completes_what_was_accepted,
        closing_from_a_callback_does_not_hang,
        a_panic_in_a_callback_is_told_and_leaves_the_engine_running,
    }
}
