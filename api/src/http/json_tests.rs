use super::*;

fn refusal(text: &str) -> Problem {
    read_object(text).expect_err(text)
}

fn code(text: &str) -> &'static str {
    refusal(text).kind.code
}

#[test]
fn members_of_the_outermost_object_are_found_where_they_stand() {
    let text = r#" { "type":"trip", "input" : {"a":[1, 2e3, -4.5]}, "\u0069d":"x" } "#;
    let members = read_object(text).unwrap();
    let members: Vec<_> = members.iter().map(|(key, at)| (&**key, &text[at.clone()])).collect();
    assert_eq!(
        members,
        [("type", "\"trip\""), ("input", r#"{"a":[1, 2e3, -4.5]}"#), ("id", "\"x\"")]
    );
}

#[test]
fn what_serde_accepts_is_accepted() {
    for text in [
        "{}",
        "\r\n\t{}\n",
        r#"{"a":null,"b":true,"c":false,"d":"","e":{},"f":[],"g":0,"h":0.0,"i":1E+2}"#,
        r#"{"emoji":"\ud83d\ude00 😀","escapes":"\"\\\/\b\f\n\r\t\u00e9"}"#,
        r#"{"big":123456789012345678901234567890,"small":5e-324,"zero":0e999}"#,
        r#"{"":1,"nested":{"":1}}"#,
    ] {
        assert!(read_object(text).is_ok(), "{text}: {:?}", read_object(text));
        assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
    }
}

#[test]
fn only_an_object_is_a_body() {
    for text in ["", "  \n", "null", "[]", "\"x\"", "7", "true"] {
        assert_eq!(code(text), "body.not_object", "{text}");
    }
}

#[test]
fn every_truncation_of_a_document_is_a_syntax_error() {
    let text = r#"{"a":[1,true,{"b":"c\n\u00e9\ud83d\ude00"}],"d":-1.5e3}"#;
    assert!(read_object(text).is_ok());
    for end in 1..text.len() {
        assert_eq!(code(&text[..end]), "json.syntax", "{}", &text[..end]);
    }
}

#[test]
fn a_syntax_error_names_line_and_column() {
    let problem = refusal("{\n  \"é\": tru\n}");
    assert_eq!(&*problem.detail, "expected a value, found `t` at line 2 column 8");
    let problem = refusal("{\"a\":1");
    assert_eq!(
        &*problem.detail,
        "expected `,` or `}`, found the end of the body at line 1 column 7"
    );
}

#[test]
fn what_is_not_json_is_a_syntax_error() {
    for text in [
        "{'a':1}",
        "{a:1}",
        r#"{"a":1,}"#,
        r#"{"a":[1,]}"#,
        r#"{"a" 1}"#,
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":.5}"#,
        r#"{"a":1.}"#,
        r#"{"a":1e}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":"\u+123"}"#,
        "{\"a\":\"\n\"}",
        r#"{"a":TRUE}"#,
        "/* */{}",
        "\u{feff}{}",
        r#"{"a":-}"#,
        "{,}",
        r#"{"a":"\ué123"}"#,
    ] {
        assert_eq!(code(text), "json.syntax", "{text}");
    }
}

#[test]
fn half_a_surrogate_pair_is_a_syntax_error() {
    for text in [
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\udc00"}"#,
        r#"{"a":"\ud800\ud800"}"#,
        r#"{"a":"\ud800x"}"#,
        r#"{"a":"\ud800\n"}"#,
        r#"{"\udfff":1}"#,
    ] {
        assert_eq!(code(text), "json.syntax", "{text}");
        assert!(refusal(text).detail.contains("surrogate"), "{text}");
    }
}

#[test]
fn a_second_document_or_trailing_bytes_are_refused() {
    for text in ["{}{}", "{} x", "{}\n\n,", "[] []", "{}\u{0}"] {
        assert_eq!(code(text), "json.trailing", "{text}");
    }
}

#[test]
fn an_equal_key_is_found_at_any_depth_and_behind_escapes() {
    for (text, field) in [
        (r#"{"amount_minor":1,"amount_minor":2}"#, None),
        (r#"{"a":[{"b":1,"b":1}]}"#, Some("/a/0")),
        (r#"{"a/b":{"x":1,"\u0078":2}}"#, Some("/a~1b")),
    ] {
        let problem = refusal(text);
        assert_eq!((problem.kind.code, problem.field.as_deref()), ("json.duplicate_key", field));
    }
    assert!(read_object(r#"{"a":{"b":1},"c":{"b":1}}"#).is_ok(), "equal keys of two objects");
}

#[test]
fn sixty_four_levels_pass_and_sixty_five_do_not() {
    let nested =
        |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(read_object(&nested(64)).is_ok());
    for depth in [65, 66, 100_000] {
        let problem = refusal(&nested(depth));
        assert_eq!((problem.kind.code, problem.limit), ("json.too_deep", Some(64)));
    }
}

#[test]
fn nul_is_refused_in_values_and_keys_raw_or_escaped() {
    for (text, field) in [
        (r#"{"a":{"b":["x","\u0000"]}}"#, Some("/a/b/1")),
        (r#"{"a":{"\u0000":1}}"#, Some("/a")),
        ("{\"a\":\"\u{0}\"}", Some("/a")),
        (r#"{"\u0000":1}"#, None),
    ] {
        let problem = refusal(text);
        assert_eq!((problem.kind.code, problem.field.as_deref()), ("text.nul", field), "{text}");
    }
}

#[test]
fn numbers_that_cannot_be_read_back_are_refused() {
    for number in
        ["1e400", "-1e400", "-0", "-0.0", "-0e5", "NaN", "Infinity", "-Infinity", "1e-400"]
    {
        let problem = refusal(&format!(r#"{{"a":{{"n":{number}}}}}"#));
        assert_eq!(problem.kind.code, "number.range", "{number}");
        assert_eq!(problem.field.as_deref(), Some("/a/n"), "{number}");
        assert!(problem.detail.contains(number), "{}", problem.detail);
    }
}

#[test]
fn many_keys_in_one_object_are_read_in_linear_time() {
    let keys: Vec<_> = (0..100_000).map(|key| format!("\"{key}\":0")).collect();
    let text = format!("{{{}}}", keys.join(","));
    assert_eq!(read_object(&text).unwrap().len(), 100_000);
}
