package op

import "slices"

// init gathers the rows and gives each its signatures.
func init() {
	All = slices.Concat(mathOps, dataOps, controlOps, netOps, quantOps, contribOps)
	for _, o := range All {
		byName[opKey{o.Domain, o.Name}] = o
	}
	for _, s := range parseSchemas(schemaText) {
		if o := Lookup(s.Domain, s.Name); o != nil {
			o.Schemas = append(o.Schemas, s)
		}
	}
}
