//! What is read of rulesets that are not ours.
