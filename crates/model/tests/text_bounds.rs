//! Hostile templates: whatever a template does with values, one request is bounded in memory, in stack and in work.
//! Work that no bound stops would not end here, and a stack without one would end the process.

mod text_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use attentionstore_model::text::{ChatDate, ChatMessage, ChatRequest, Ending, TextError, TextModel};
use text_support::{family_with, message};

/// Bytes allocated now, and the most there were since the last reset.
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Counts what is allocated. One test at a time measures, under [`MEASURING`].
struct Counting;

fn grown(bytes: usize) {
    PEAK.fetch_max(LIVE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's own promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's own promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static MEASURING: Mutex<()> = Mutex::new(());

/// The most memory that one request may take, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// What errors say of other bounds than fuel.
const BOUNDS: [&str; 6] = [
    "levels deep",
    "recursion limit",
    "a namespace cannot be held",
    "too large",
    "range has too many elements",
    "too many digits",
];

fn encode(model: &TextModel, messages: &[ChatMessage]) -> Result<String, TextError> {
    let date = ChatDate::from_unix_seconds(0);
    Ok(model.encode_chat(&ChatRequest { ending: Ending::Closed, ..ChatRequest::new(messages, date) })?.text)
}

/// Renders for a message of `bytes` bytes on a thread with a stack of 2 MiB; the result, and the most memory it took.
fn attack(template: &str, bytes: usize) -> (Result<String, TextError>, usize) {
    let model = family_with("gpt2", template);
    let messages = [message("user", &"h ".repeat(bytes / 2))];
    let _alone = MEASURING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    std::thread::scope(|scope| {
        let rendering = std::thread::Builder::new().stack_size(2 << 20).spawn_scoped(scope, || {
            let before = LIVE.load(Relaxed);
            PEAK.store(before, Relaxed);
            let result = encode(&model, &messages);
            (result, PEAK.load(Relaxed).saturating_sub(before))
        });
        rendering.unwrap().join().unwrap()
    })
}

/// Every attack ends in an error, with a short and with a long message.
fn refused(attacks: &[&str]) {
    for attack_template in attacks {
        for bytes in [2, 1 << 20] {
            let (result, peak) = attack(attack_template, bytes);
            println!("{:6} KiB, message of {bytes} bytes: {attack_template}", peak >> 10);
            let is_bounded = match &result {
                Err(TextError::OutOfFuel { .. } | TextError::OutputTooLong { .. }) => true,
                Err(TextError::Failed { detail }) => BOUNDS.iter().any(|bound| detail.contains(bound)),
                _ => false,
            };
            let shown: String = format!("{result:?}").chars().take(200).collect();
            assert!(is_bounded, "{attack_template}: {shown}");
            assert!(peak <= MOST_BYTES, "{attack_template}: {peak} bytes");
        }
    }
}

const DOUBLED: &str = "{% set ns = namespace(v=[1], w=[1]) %}{% for i in range(60) %}{% set ns.v = [ns.v, ns.v] %}\
     {% set ns.w = [ns.w, ns.w] %}{% endfor %}";
const NESTED: &str =
    "{% set ns = namespace(v=[]) %}{% for i in range(80000) %}{% set ns.v = [ns.v] %}{% endfor %}";
const LONG: &str =
    "{% set ns = namespace(s='abcdefgh') %}{% for i in range(18) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}";

#[test]
fn lists_that_double_end_for_want_of_fuel() {
    let uses = [
        "{{ ns.v | tojson | length }}",
        "{{ ns.v | string | length }}",
        "{{ ns.v }}",
        "{{ ns.v == ns.w }}",
        "{{ ns.v < ns.w }}",
        "{{ ns.v in [ns.w] }}",
        "{{ [ns.v, ns.w] | sort | length }}",
        "{{ [ns.v, ns.w] | unique | list | length }}",
        "{{ {ns.v: 1}[ns.w] }}",
        "{{ ns.v is eq(ns.w) }}",
        "{{ ns.v | pprint | length }}",
        "{{ ns.v ~ '' }}",
        "{{ ns.v | join }}",
        "{{ 'x'.join(ns.v) }}",
        "{{ '%s' | format(ns.v) }}",
        "{{ '{}'.format(ns.v) }}",
        "{{ [ns.v].count(ns.w) }}",
        "{% for x in [1, 2] %}{{ loop.changed(ns.v) }}{% endfor %}",
        "{{ [ns.v] | map('string') | list | length }}",
        "{{ [ns.v] | select('eq', ns.w) | list | length }}",
        "{{ ns.v | tojson(indent=4, sort_keys=true) | length }}",
    ];
    refused(&uses.map(|used| format!("{DOUBLED}{used}")).each_ref().map(String::as_str));
}

#[test]
fn values_nested_too_deep_are_refused_before_a_stack_ends() {
    let uses = ["{{ ns.v | tojson }}", "{{ ns.v | string }}", "{{ ns.v == [ns.v] }}", "{{ 1 }}"];
    refused(&uses.map(|used| format!("{NESTED}{used}")).each_ref().map(String::as_str));
    refused(&[
        "{% set ns = namespace() %}{% set ns.v = ns %}{{ ns }}",
        "{% set ns = namespace() %}{% set ns.v = [ns] %}{{ ns }}",
        "{% set ns = namespace() %}{% set ns.v = namespace(w={'a': (ns, 1)}) %}{{ ns }}",
        "{% macro m(x) %}{{ m([[[[x]]]]) }}{% endmacro %}{{ m(1) }}",
        "{% macro m(x) %}{{ m(x=x) }}{% endmacro %}{{ m(x=1) }}",
        "{% for x in [[1]] recursive %}{{ loop([[x]]) }}{% endfor %}",
        "{% set ns = namespace(v=[1]) %}{% for i in range(9999) %}{% set ns.v = ns.v | batch(1) %}{% endfor %}{{ ns.v }}",
        "{% set ns = namespace(v=[1]) %}{% for i in range(9999) %}{% set ns.v = dict(a=ns.v) %}{% endfor %}{{ ns.v }}",
        "{% set ns = namespace(v=[1]) %}{% for i in range(9999) %}{% set ns.v = ns.v | slice(1) | list %}{% endfor %}{{ ns.v }}",
        "{% block b %}{{ self.b() }}{% endblock %}",
    ]);
}

#[test]
fn lists_that_are_only_promised_are_paid_for_item_by_item() {
    refused(&[
        "{% set ns = namespace(v=[1]) %}{% for i in range(90) %}{% set ns.v = ns.v + ns.v %}{% endfor %}{{ ns.v | length }}",
        "{% set ns = namespace(v=[1]) %}{% for i in range(90) %}{% set ns.v = ns.v * 9 %}{% endfor %}{{ ns.v | length }}",
        "{{ ([1] * 10**9) | length }}",
        "{% for i in range(99999) %}{% set x = ([1] * 99999)[1:] %}{% endfor %}",
        "{% for i in range(99999) %}{% set x = range(100000) | list %}{% endfor %}",
        "{% set x = range(100000) %}{% for i in range(99999) %}{{ x[-1] }}{% endfor %}",
        "{% set x = range(100000) %}{% for i in range(99999) %}{% if x == range(100000) %}{% endif %}{% endfor %}",
    ]);
}

#[test]
fn long_strings_are_paid_for_wherever_they_are_read() {
    let each = |work: &str| format!("{LONG}{{% for i in range(99999) %}}{work}{{% endfor %}}");
    let works = [
        "{% if ns.s == ns.s ~ 'x' %}{% endif %}",
        "{% set x = {ns.s: 1} %}",
        "{% set x = {'a': 1}[ns.s] %}",
        "{% set x = ns.s[1999999] %}",
        "{% set x = ns.s[0:1] %}",
        "{% if ns.s in ['a', ns.s] %}{% endif %}",
        "{% set x = ns.s.split('b') %}",
        "{% set x = ns.s is startingwith(ns.s) %}",
        "{% set x = [ns.s] * 99 | length %}",
        "{% set x = ([ns.s] * 99) | sort %}",
        "{% set x = ns.s | list %}",
        "{% set x = ns.s | tojson %}",
    ];
    refused(&works.map(each).each_ref().map(String::as_str));
    let escaped = format!(
        "{LONG}{{{{ (ns.s | replace('a', '\"')) | escape | tojson | tojson | tojson | length }}}}{{% for x in range(1000000) %}}{{% endfor %}}"
    );
    refused(&[&escaped]);
}

#[test]
fn a_number_in_a_template_does_not_reserve_memory() {
    refused(&[
        "{{ 'x' * 10**9 }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ '{:>{}}'.format(1, 1000000000) }}",
        "{{ '{:{}}'.format(1, 1000000000) }}",
        "{{ 'a\nb' | indent(1000000000) }}",
        "{{ ('a' * 9999).replace('', 'b' * 99999) }}",
        "{{ ('a' * 9999) | replace('a', 'b' * 99999) }}",
        "{{ ('x' * 999999) .join(range(9999)) }}",
        "{{ range(9999) | join('x' * 999999) }}",
        "{{ '%.1000000000f' | format(1.0) }}",
        "{{ ('a,' * 999999).split(',') | length }}{% for x in range(1000000) %}{% endfor %}",
        "{{ range(1000000000) | list }}",
    ]);
}

#[test]
fn a_source_that_goes_on_and_on_ends_no_stack() {
    let chains =
        ["+a", "~a", " and a", "|trim", ".a", "[0]", "()", " is none", " if a else a", " == a", "-1"];
    for chain in chains {
        let (result, _) = attack(&format!("{{{{ a{} }}}}", chain.repeat(200_000 / chain.len())), 2);
        drop(result);
    }
    for (open, close) in [("[", "]"), ("(", ")"), ("{% if a %}", "{% endif %}"), ("not ", ""), ("-", "")] {
        let nested = format!("{}a{}", open.repeat(20_000), close.repeat(20_000));
        let template = if open.starts_with("{%") { nested } else { format!("{{{{ {nested} }}}}") };
        let (result, _) = attack(&template, 2);
        assert!(matches!(result, Err(TextError::Failed { .. })), "{open}: {result:?}");
    }
    let elifs = format!("{{% if a %}}{}{{% endif %}}", "{% elif b %}x".repeat(20_000));
    drop(attack(&elifs, 2));
}

#[test]
fn an_honest_template_takes_a_request_of_a_megabyte() {
    let template = "{% set ns = namespace(seen=[]) %}{% for m in messages %}{% set ns.seen = ns.seen + [m.role] %}\
        {% if loop.first and m.role != 'system' %}{{ '<|im_start|>system\n' + ({'tools': [{'type': 'function'}]} | tojson) + '<|im_end|>\n' }}{% endif %}\
        {{ '<|im_start|>' + m.role + '\n' + (m.content | trim) + '<|im_end|>\n' }}{% endfor %}{{ ns.seen | length }} {{ messages | tojson | length }}";
    let model = family_with("gpt2", template);
    let many: Vec<ChatMessage> = (0..1000)
        .map(|index| message(if index % 2 == 0 { "user" } else { "assistant" }, &"word and word ".repeat(75)))
        .collect();
    let text = encode(&model, &many).unwrap();
    assert!(text.starts_with("<|im_start|>system\n{\"tools\": [{\"type\": \"function\"}]}<|im_end|>\n"));
    assert!(
        text.ends_with("1000 1086001") || text.contains("<|im_end|>\n1000 "),
        "{}",
        &text[text.len() - 40..]
    );
}
