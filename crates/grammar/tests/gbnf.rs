//! Grammars as llama.cpp writes them.

mod support;

use attentionstore_grammar::{GrammarError, Source};
use support::{compile, is_json, random_answer, takes};

fn check(grammar: &str, taken: &[&str], refused: &[&str]) {
    let compiled =
        compile(Source::Grammar(grammar.into())).unwrap_or_else(|error| panic!("{error}\n{grammar}"));
    for text in taken {
        assert!(takes(&compiled, text), "{text:?} is refused by\n{grammar}");
    }
    for text in refused {
        assert!(!takes(&compiled, text), "{text:?} is taken by\n{grammar}");
    }
}

#[test]
fn literals_classes_groups_and_repetitions_mean_what_they_mean_in_gbnf() {
    check(r#"root ::= "yes" | "no""#, &["yes", "no"], &["", "yesno"]);
    check(r#"root ::= [a-c]+ [^a-c\n] ."#, &["abd.", "az\n"], &["abc.", "d."]);
    check(r#"root ::= ("a" | "b" "c"){2,3} "d"?"#, &["aa", "bcabcd"], &["a", "aaaa"]);
    check(r#"root ::= "\x41\u00e9\"\\" [\]\-]{2}"#, &["Aé\"\\]-"], &["Aé"]);
    check(r#"root ::= "a"{,2} "b"{2,}"#, &["bb", "aabbb"], &["aaabb", "ab"]);
    check("root ::= [-a]* [x^]", &["-a-x", "^"], &["b"]);
}

#[test]
fn characters_are_matched_one_by_one_and_not_as_greedy_terminals() {
    // A greedy terminal [a-z]* would take the ending too.
    check(r#"root ::= [a-z]* "abc""#, &["abc", "xabc", "abcabc", "ababc"], &["ab", "abcx"]);
    check("root ::= word (\" \" word)*\nword ::= [a-z]+", &["a", "a bc d"], &["a  b", " a"]);
}

#[test]
fn recursive_rules_and_names_that_lark_has_not_are_taken() {
    let lists = "# lists of lists\nroot ::= the-list\nthe-list ::= \"[\" ws (item (\",\" ws item)*)? \"]\" ws\nitem ::= the-list | Number-2 ws\nNumber-2 ::= [0-9]+\nws ::= [ \\t]*";
    check(lists, &["[]", "[1, [2 ,[ ]], 34]"], &["[", "[1,]", "1"]);
    check("root ::= root \"a\" | \"b\"", &["b", "baa"], &["a", "bab"]);
}

#[test]
fn the_json_grammar_of_llama_cpp_makes_json() {
    let json = include_str!("json.gbnf");
    let source = Source::Grammar(json.into());
    let grammar = compile(source).unwrap_or_else(|error| panic!("{error}"));
    for text in [r#"{"a": [1, 2.5e-3, {"b": "c\n\u00e9"}], "d": null}"#, "{}"] {
        assert!(takes(&grammar, text), "{text}");
    }
    let mut ended = 0;
    for seed in 0..60 {
        let Some(answer) = random_answer(&grammar, seed, 400) else { continue };
        let text = String::from_utf8(answer).expect("text");
        assert!(is_json(&text), "seed {seed}: {text}");
        ended += 1;
    }
    assert!(ended > 20, "{ended} answers ended");
}

#[test]
fn lines_go_on_where_llama_cpp_lets_them() {
    check("root ::=\n  \"a\" |\n  \"b\" (\n \"c\"\n # remark\n )\n", &["a", "bc"], &["b"]);
}

#[test]
fn special_tokens_are_named_and_what_lark_has_not_is_refused() {
    let grammar = compile(Source::Grammar("root ::= <|call|> \"x\" | \"y\"".into())).unwrap();
    assert!(support::mask(&mut grammar.matcher()).contains(&support::CALL));
    let error = compile(Source::Grammar("root ::= !<|call|>".into())).err().unwrap();
    assert!(matches!(error, GrammarError::Unsupported { .. }), "{error:?}");
}

#[test]
fn grammars_that_are_none_are_refused_with_their_line() {
    for (grammar, part) in [
        ("rule ::= \"a\"", "no rule named root"),
        ("root ::= other", "other is not defined"),
        ("root ::= \"a\nroot2 ::= \"b\"", "line"),
        ("root ::= \"a\"\nroot ::= \"b\"", "line 2: the rule root is defined twice"),
        ("root ::= (\"a\"", ") is expected"),
        ("root ::= [", "does not end"),
        ("root ::= \"a\"{3,2}", "more at least than at most"),
        ("root ::= \"a\"{99999999999999999999}", "the limit is 4096"),
        ("root ::= [z-a]", "ends before it begins"),
        ("root ::= \"\\q\"", "is no escape"),
        ("root ::= \"a\" )", "end of the line"),
    ] {
        let error =
            compile(Source::Grammar(grammar.into())).err().unwrap_or_else(|| panic!("{grammar} is taken"));
        assert!(error.to_string().contains(part), "{grammar}: {error}");
    }
}
