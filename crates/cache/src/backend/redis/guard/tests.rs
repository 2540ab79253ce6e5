//! The guard against honest, cut and made-up answers.

use proptest::prelude::*;

use super::Guard;

fn answer() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        "[a-zA-Z ]{0,20}".prop_map(|text| format!("+{text}\r\n").into_bytes()),
        "[a-zA-Z ]{0,20}".prop_map(|text| format!("-ERR {text}\r\n").into_bytes()),
        any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
        Just(b"$-1\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| {
            [format!("${}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat()
        }),
    ];
    leaf.prop_recursive(4, 32, 5, |part| {
        proptest::collection::vec(part, 0..5).prop_map(|parts| {
            [format!("*{}\r\n", parts.len()).into_bytes(), parts.concat()].concat()
        })
    })
}

proptest! {
    #[test]
    fn honest_answers_pass_however_they_are_cut(
        answers in proptest::collection::vec(answer(), 1..4),
        piece in 1_usize..9,
    ) {
        let mut guard = Guard::default();
        for chunk in answers.concat().chunks(piece) {
            prop_assert_eq!(guard.feed(chunk), Ok(()));
        }
        prop_assert!(guard.is_between());
    }

    #[test]
    fn a_truncated_answer_is_never_taken_for_a_whole_one(
        answer in answer(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut guard = Guard::default();
        let part = &answer[..cut.index(answer.len())];
        prop_assert_eq!(guard.feed(part), Ok(()));
        prop_assert!(part.is_empty() || !guard.is_between());
    }

    #[test]
    fn any_bytes_pass_or_are_refused_without_a_panic(
        bytes in proptest::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"+-:$*\r\n0123456789".to_vec())],
            0..200,
        ),
    ) {
        let _either = Guard::default().feed(&bytes);
    }
}

#[test]
fn what_claims_too_much_is_refused_at_once() {
    let deep = "*1\r\n".repeat(9);
    let cases: &[(&str, &str)] = &[
        ("$67108865\r\n", "a string is too long"),
        ("$4611686018427387904\r\n", "a string is too long"),
        ("*1048577\r\n", "a list is too long"),
        ("$-2\r\n", "a length below zero"),
        ("$99999999999999999999\r\n", "a number is too large"),
        (":9223372036854775808\r\n", "a number is too large"),
        ("$\r\n", "no number where there must be one"),
        ("$3\r\nabcd\r\n", "a string is longer than it says"),
        ("!3\r\n", "an answer of no known kind"),
        ("HTTP/1.1 400 Bad Request\r\n", "an answer of no known kind"),
        ("+OK\rX", "a line ends without LF"),
        (&deep, "lists are nested too deep"),
    ];
    for (bytes, fault) in cases {
        assert_eq!(Guard::default().feed(bytes.as_bytes()), Err(*fault), "{bytes:?}");
    }
    assert_eq!(Guard::default().feed(&[b'+'; 70_000]), Err("a line is too long"));
}

#[test]
fn claims_of_one_answer_are_added_up_however_they_are_nested() {
    let most = 1 << 20;
    let half = most / 2;
    // Side by side, inside one another, and after a part that came whole.
    let cases = [
        format!("*{most}\r\n*1\r\n"),
        format!("*{half}\r\n*{half}\r\n*1\r\n"),
        format!("*3\r\n*{half}\r\n{}*{half}\r\n", ":1\r\n".repeat(half)),
        format!("*{}\r\n", most / 8 + 1).repeat(8),
    ];
    for bytes in &cases {
        let refused = Guard::default().feed(bytes.as_bytes());
        assert_eq!(refused, Err("an answer has too many parts"), "{}", &bytes[..20]);
    }
    let mut guard = Guard::default();
    let whole = format!("*2\r\n${}\r\n{}\r\n", 32 << 20, "x".repeat(32 << 20));
    assert_eq!(guard.feed(whole.as_bytes()), Ok(()));
    assert_eq!(guard.feed(b"$33554432\r\n"), Err("an answer is too long"), "before it comes");
    // The next answer begins anew.
    let mut guard = Guard::default();
    for _ in 0..3 {
        let answer = format!("*{most}\r\n{}", ":1\r\n".repeat(most));
        assert_eq!(guard.feed(answer.as_bytes()), Ok(()));
        assert!(guard.is_between());
    }
}

#[test]
fn the_smallest_number_passes() {
    assert_eq!(Guard::default().feed(b":-9223372036854775808\r\n"), Ok(()));
}
