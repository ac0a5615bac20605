package op

// dataOps are operators that move, index and build data, and strings.
var dataOps = []*Op{}
