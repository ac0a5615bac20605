package op

// contribOps are operators of the com.microsoft domain that quantizers write.
var contribOps = []*Op{}
