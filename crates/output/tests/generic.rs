//! The prompt side for templates without tools: a model that repeats what it is shown is understood.

mod support;

use attentionstore_output::{End, Part, generic};
use support::*;

#[test]
fn instructions_name_every_tool_and_depend_on_the_tools_alone() {
    let text = generic::instructions(&tools());
    for tool in tools().iter() {
        assert!(text.contains(&generic::definition(tool).to_string()), "{}", tool.name);
    }
    assert_eq!(generic::instructions(&[]), "");
}

#[test]
fn earlier_calls_are_shown_in_the_form_that_is_read() {
    let calls = [("get_weather", "{\"city\": \"Rome\"}"), ("now", "")];
    let text = generic::message_with_calls("I look.", calls);
    let parts = read(&SMOLLM2.format(), &reading(), &SMOLLM2.pieces(&text), End::Whole);
    let call = |name: &str| Part::Call { name: name.into() };
    let arguments = |text: &str| Part::Arguments(text.into());
    let content = Part::Content("I look.".into());
    assert_eq!(
        parts,
        [content, call("get_weather"), arguments("{\"city\": \"Rome\"}"), call("now"), arguments("{}")]
    );
    assert_eq!(generic::message_with_calls("", []), "");
    assert_eq!(generic::result("22 °C"), "<tool_response>\n22 °C\n</tool_response>");
}
