//! Streams, events, copies and errors of the runtime.

use std::sync::mpsc;

use attentionstore_cuda::Device;
use attentionstore_cuda::launch::ReadRate;
use attentionstore_cuda::runtime::{Event, HostRegistration, MemoryCopy, copy_batch, copy_each};

use crate::support::gpu;

/// Slices that are scattered on both sides come back where they belong, whichever way they are copied.
#[test]
fn scattered_slices_go_to_the_device_and_back_unchanged() {
    let Some(gpu) = gpu("scattered_slices_go_to_the_device_and_back_unchanged") else { return };
    for (slice, count) in [(48 << 10, 37), (16, 5), (256 << 10, 9)] {
        for batched in [true, false] {
            round_trip(&gpu, slice, count, batched);
        }
    }
}

fn round_trip(gpu: &crate::support::Gpu, slice: usize, count: usize, batched: bool) {
    let device = gpu.kernels.device();
    let mut host: Vec<u8> = (0..slice * count).map(|at| (at / slice * 31 + at % 251) as u8).collect();
    let mut back = vec![0xde_u8; slice * count];
    let memory = gpu.poisoned(slice * count * 2);
    // SAFETY: both vectors outlive their registrations, which are dropped at the end of this function.
    let registered = unsafe {
        (
            HostRegistration::new(device, host.as_mut_ptr(), host.len()).unwrap(),
            HostRegistration::new(device, back.as_mut_ptr(), back.len()).unwrap(),
        )
    };
    // Every second place of the device, in the opposite order.
    let place = |at: usize| memory.part((count - 1 - at) * 2 * slice, slice).unwrap().address();
    let to_device: Vec<_> = (0..count)
        .map(|at| MemoryCopy {
            from: host.as_ptr() as u64 + (at * slice) as u64,
            to: place(at),
            bytes: slice,
        })
        .collect();
    let to_host: Vec<_> = (0..count)
        .map(|at| MemoryCopy {
            from: place(at),
            to: back.as_mut_ptr() as u64 + (at * slice) as u64,
            bytes: slice,
        })
        .collect();
    let copy = |stream: &_, copies: &[MemoryCopy]| {
        // SAFETY: the ranges live until the streams are synchronised below.
        unsafe { if batched { copy_batch(stream, copies) } else { copy_each(stream, copies) } }.unwrap();
    };
    gpu.stream().synchronize().unwrap();
    copy(&gpu.streams.load, &to_device);
    let loaded = Event::new(device).unwrap();
    loaded.record(&gpu.streams.load).unwrap();
    gpu.streams.save.wait(&loaded).unwrap();
    copy(&gpu.streams.save, &to_host);
    copy(&gpu.streams.save, &[]);
    gpu.streams.save.synchronize().unwrap();
    drop(registered);
    assert!(back == host, "{count} slices of {slice} bytes, batched: {batched}");
}

/// Two registrations side by side, with a copy that lies in both.
#[test]
fn a_copy_that_crosses_the_border_of_two_registrations_arrives_in_pieces() {
    let Some(gpu) = gpu("a_copy_that_crosses_the_border_of_two_registrations") else { return };
    const PAGE: usize = 4096;
    let device = gpu.kernels.device();
    let mut memory = vec![0_u8; 17 * PAGE];
    let start = memory.as_ptr().addr().next_multiple_of(PAGE) - memory.as_ptr().addr();
    let host = &mut memory[start..start + 16 * PAGE];
    host.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at % 251) as u8);
    let bytes = host.len() - 2 * PAGE;
    let card = gpu.poisoned(bytes);
    // SAFETY: the memory outlives its registration, which is dropped at the end of this function.
    let registered =
        unsafe { HostRegistration::in_chunks(device, host.as_mut_ptr(), host.len(), 3 * PAGE) }.unwrap();
    let copy = MemoryCopy { from: host.as_ptr() as u64 + PAGE as u64, to: card.pointer().address(), bytes };
    let pieces: Vec<_> = copy.within(3 * PAGE, PAGE).collect();
    assert_eq!(pieces.len(), 5);
    gpu.stream().synchronize().unwrap();
    // SAFETY: the ranges live until the stream is synchronised.
    unsafe { copy_batch(&gpu.streams.load, &pieces) }.unwrap();
    gpu.streams.load.synchronize().unwrap();
    let mut back = vec![0; bytes];
    card.read(gpu.stream(), 0, &mut back).unwrap();
    assert!(back == host[PAGE..PAGE + bytes]);
    drop(registered);
}

#[test]
fn an_event_is_done_after_its_work_and_a_callback_comes_once() {
    let Some(gpu) = gpu("an_event_is_done_after_its_work") else { return };
    let device = gpu.kernels.device();
    let memory = gpu.buffer(64 << 20);
    let (before, after) = (Event::timed(device).unwrap(), Event::timed(device).unwrap());
    before.record(gpu.stream()).unwrap();
    memory.fill(gpu.stream(), 7).unwrap();
    after.record(gpu.stream()).unwrap();
    let (send, receive) = mpsc::channel();
    gpu.stream().notify(Box::new(move || send.send(()).unwrap())).unwrap();
    after.synchronize().unwrap();
    assert!(after.is_done().unwrap());
    assert!(after.milliseconds_since(&before).unwrap() > 0.0);
    receive.recv().unwrap();
    assert!(receive.recv().is_err(), "the callback came twice");
}

#[test]
fn a_device_that_is_not_there_is_refused_with_the_number_there_are() {
    let Some(_) = gpu("a_device_that_is_not_there_is_refused") else { return };
    let error = Device::open(1000).err().expect("there are not so many");
    assert_eq!(error.code(), "cuda_no_such_device");
    assert!(error.to_string().contains("1000"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_enqueued() {
    let Some(gpu) = gpu("what_does_not_fit_is_refused") else { return };
    let memory = gpu.buffer(16);
    assert!(memory.part(8, 8).is_ok());
    for (offset, bytes) in [(8, 9), (17, 0), (usize::MAX, 2)] {
        assert_eq!(memory.part(offset, bytes).unwrap_err().code(), "cuda_invalid");
    }
    assert_eq!(memory.write(gpu.stream(), 1, &[0; 16]).unwrap_err().code(), "cuda_invalid");
    let sink = memory.part(0, 3).unwrap();
    let launch = ReadRate { memory: memory.pointer(), sink };
    assert_eq!(gpu.kernels.read_rate(gpu.stream(), &launch).unwrap_err().code(), "cuda_invalid");
    gpu.stream().synchronize().unwrap();
}

/// Runs on every machine: with a driver it opens the first card, without one it says so.
#[test]
fn a_machine_without_a_usable_driver_answers_with_a_sentence() {
    if let Err(error) = Device::open(0) {
        assert_eq!(error.code(), "cuda_unavailable");
        assert!(!error.to_string().is_empty());
    }
}
