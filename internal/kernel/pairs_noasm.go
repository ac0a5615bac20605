//go:build !amd64 || purego

package kernel

var (
	wholeAsm   [numWhole][numElems]variants[pairFn]
	compareAsm [numRelations][numElems]variants[pairFn]
	convertAsm [numElems][numElems]variants[convertFn]
	onesAsm    [numElems]variants[convertFn]
)
