package op

// controlOps are control flow, sequences and optional values.
var controlOps = []*Op{
	{Name: "ConcatFromSequence", Eval: evalConcatFromSequence, Infer: inferConcatFromSequence},
	{Name: "If", Eval: evalIf, Infer: inferIf},
	{Name: "Loop", Eval: evalLoop, Infer: inferLoop},
	{Name: "Optional", Eval: evalOptional, Infer: inferOptional},
	{Name: "OptionalGetElement", Eval: evalOptionalGetElement, Infer: inferOptionalGetElement},
	{Name: "OptionalHasElement", Eval: evalOptionalHasElement, Infer: inferOptionalHasElement},
	{Name: "Scan", Eval: evalScan, Infer: inferScan},
	{Name: "SequenceAt", Eval: evalSequenceAt, Infer: inferSequenceAt},
	{Name: "SequenceConstruct", Eval: evalSequenceConstruct, Infer: inferSequenceConstruct},
	{Name: "SequenceEmpty", Eval: evalSequenceEmpty, Infer: inferSequenceEmpty},
	{Name: "SequenceErase", Eval: evalSequenceErase, Infer: inferSequenceErase},
	{Name: "SequenceInsert", Eval: evalSequenceInsert, Infer: inferSequenceInsert},
	{Name: "SequenceLength", Eval: evalSequenceLength, Infer: inferSequenceLength},
	{Name: "SequenceMap", Eval: evalSequenceMap, Infer: inferSequenceMap},
	{Name: "SplitToSequence", Eval: evalSplitToSequence, Infer: inferSplitToSequence},
}
