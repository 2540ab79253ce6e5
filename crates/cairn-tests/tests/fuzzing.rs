//! The fuzz targets on inputs made here: random bytes, and valid ones with mutations.
//! `CAIRN_FUZZ_INPUTS` sets how many inputs each target gets.

use cairn_tests::fuzz::{
    TARGETS, valid_batch, valid_commands, valid_files, valid_graph, valid_secrets,
};
use cairn_vfs::{Rng, SeededRng};

fn inputs() -> u64 {
    let count = std::env::var("CAIRN_FUZZ_INPUTS").ok().and_then(|text| text.parse().ok());
    count.unwrap_or(3000)
}

fn random(rng: &SeededRng, len_max: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(rng.below(len_max)).expect("small")];
    rng.fill(&mut bytes);
    bytes
}

/// A valid input with a few changes.
fn mutated(rng: &SeededRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let pick = usize::try_from(rng.below(seeds.len() as u64)).expect("small");
    let mut bytes = seeds[pick].clone();
    for _ in 0..rng.below(6) {
        if bytes.is_empty() {
            break;
        }
        let at = usize::try_from(rng.below(bytes.len() as u64)).expect("small");
        match rng.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.next_u64().to_le_bytes()[0]),
            _ => bytes[at] ^= 1 << rng.below(8),
        }
    }
    bytes
}

#[test]
fn no_input_makes_a_target_panic_or_answer_wrongly() {
    let mut seeds = valid_files();
    seeds.push(valid_batch());
    seeds.extend(valid_commands());
    seeds.extend(valid_secrets());
    seeds.extend(valid_graph());
    for json in ["{}", r#"{"a":[1,2,{"b":null}]}"#, "\"text\"", "1e999", "[[[[]]]]", "\u{feff}1"] {
        seeds.push(json.as_bytes().to_vec());
    }
    seeds.push(vec![b'['; 100_000]);
    for (name, target) in TARGETS {
        let rng = SeededRng::new(name.len() as u64);
        for number in 0..inputs() {
            let input = if number % 2 == 0 { random(&rng, 400) } else { mutated(&rng, &seeds) };
            let outcome = std::panic::catch_unwind(|| target(&input));
            assert!(outcome.is_ok(), "{name}, input {number}: {input:02x?}");
        }
    }
}

/// Inputs that a fuzzer found, each of which made its target fail once.
const FOUND: [(&str, &[u8]); 1] = [
    // A record whose sequence is the largest there is.
    ("command", &[3, 15, 3, 45]),
];

#[test]
fn inputs_that_once_made_a_target_fail_do_so_no_more() {
    for (name, input) in FOUND {
        let (_, target) = TARGETS.iter().find(|target| target.0 == name).expect("there");
        target(input);
    }
}
