// Package engine compiles a graph for this machine and runs it.
//
// A [Session] holds one model. For each set of input shapes it compiles a program once: constants are
// folded, Q→DQ islands become integer operators, chains of float operators are fused, each value gets a
// memory layout, and all values get places in one arena. What has no fast path runs by the operator's
// reference, so every model that package op can evaluate runs here too.
package engine
