package op

// netOps are products, convolutions, pooling, normalization, recurrence, attention, losses.
var netOps = []*Op{}
