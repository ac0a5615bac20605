package op

// controlOps are control flow, sequences and optional values.
var controlOps = []*Op{
	{Name: "If", Eval: evalIf, Infer: inferIf},
}
