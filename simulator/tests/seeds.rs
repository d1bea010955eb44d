//! Seeds that are played each time; `make simulate` plays many more.

use seckill_simulator::{Hazard, Play};

const SEEDS: u64 = 40;

fn play(seed: u64) -> Play {
    Play {
        seed,
        steps: 2000,
        until: None,
        without: Vec::new(),
    }
}

#[test]
fn everything_holds_whatever_goes_wrong() {
    let mut steps = 0;
    for seed in 1..=SEEDS {
        let play = play(seed);
        let played = play.run(false);
        assert_eq!(played.violation, None, "seckill-simulator {play} --trace");
        steps += played.steps;
    }
    assert!(steps > SEEDS * 2000);
}

#[test]
fn a_seed_is_played_the_same_again_and_up_to_any_step() {
    let whole = play(7).run(true);
    assert_eq!(play(7).run(true), whole);
    assert_eq!(
        play(7).run(false).steps,
        whole.steps,
        "also without a story"
    );
    let until = Play {
        until: Some(500),
        ..play(7)
    };
    let part = until.run(true);
    assert_eq!(part.steps, 500);
    assert!(whole.story.starts_with(&part.story));
    assert_ne!(play(8).run(true).story, whole.story);
}

#[test]
fn a_play_says_how_it_is_played_again() {
    let play = Play {
        until: Some(9),
        without: vec![Hazard::NodeDies, Hazard::Shop],
        ..play(3)
    };
    let expected = "--seed 3 --steps 2000 --until 9 --without node-dies,shop";
    assert_eq!(play.to_string(), expected);
}
