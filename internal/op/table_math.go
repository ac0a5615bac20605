package op

// mathOps are elementwise arithmetic, reductions, casts and random numbers.
var mathOps = []*Op{}
