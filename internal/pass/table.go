package pass

// All lists the passes of Prepare in the order that they run.
var All = []*Pass{InitInputs, Inline, UniqueNames, Constants, Branches, Halves, Unfuse, Invariants, Identities, Counts, Fold, Transposes, Biases, Affine, BatchNorm, Unused}
