package op

// quantOps are the standard quantization operators.
var quantOps = []*Op{}
