//! Transcripts: what a worker with the same steps gives here and on workerd.

use serde_json::Value as Json;

use crate::project::fixture;

/// Compares a transcript with workerd's in a file beside the worker, except for the steps in which Isopod differs on purpose:
/// each with what it gives, and the reason. Returns the number of steps.
pub(crate) fn compare(ours: &str, theirs: &str, differences: &[(&str, Json, &str)]) -> usize {
    let ours: Json = serde_json::from_str(ours).unwrap_or_else(|_| panic!("no transcript: {ours}"));
    let theirs = std::fs::read(fixture("bindings").join(theirs)).expect("workerd's transcript");
    let theirs: Json = serde_json::from_slice(&theirs).expect("JSON");
    compare_with(&ours, theirs, differences)
}

/// The same with a transcript of workerd that was changed in what all its steps have in common.
pub(crate) fn compare_with(ours: &Json, mut theirs: Json, differences: &[(&str, Json, &str)]) -> usize {
    for (step, here, why) in differences {
        assert_ne!(theirs[step], *here, "it differs no more, though {why}");
        theirs[step] = here.clone();
    }
    let (ours, theirs) = (ours.as_object().expect("steps"), theirs.as_object().expect("steps"));
    let differ: Vec<_> = theirs
        .iter()
        .filter(|(step, expected)| ours.get(*step) != Some(expected))
        .map(|(step, expected)| format!("{step}: {expected} there, {:?} here", ours.get(step)))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert_eq!(ours.len(), theirs.len());
    theirs.len()
}
