package lowbit_test

import (
	"cmp"
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lowbit"
)

// public is every exported function and type of the package; of generic functions one instance.
var public = map[string]reflect.Type{
	"Compare": reflect.TypeOf(lowbit.Compare), "Convert": reflect.TypeOf(lowbit.Convert), "Decode": reflect.TypeOf(lowbit.Decode), "Diagnose": reflect.TypeOf(lowbit.Diagnose), "Factors": reflect.TypeOf(lowbit.Factors),
	"Losses": reflect.TypeOf(lowbit.Losses), "NewImageInput": reflect.TypeOf(lowbit.NewImageInput), "ParseRecipe": reflect.TypeOf(lowbit.ParseRecipe), "NewData": reflect.TypeOf(lowbit.NewData), "NewSequence": reflect.TypeOf(lowbit.NewSequence), "NewStrings": reflect.TypeOf(lowbit.NewStrings),
	"NewTensor": reflect.TypeOf(lowbit.NewTensor[float32]), "NewTensorOf": reflect.TypeOf(lowbit.NewTensorOf[uint16]), "Open": reflect.TypeOf(lowbit.Open), "OpenData": reflect.TypeOf(lowbit.OpenData),
	"OpenLimited": reflect.TypeOf(lowbit.OpenLimited), "Quantize": reflect.TypeOf(lowbit.Quantize), "ReadRecipe": reflect.TypeOf(lowbit.ReadRecipe), "Values": reflect.TypeOf(lowbit.Values[float32]),

	"Calibration": reflect.TypeFor[lowbit.Calibration](), "CompareOptions": reflect.TypeFor[lowbit.CompareOptions](), "Comparison": reflect.TypeFor[lowbit.Comparison](), "OutputComparison": reflect.TypeFor[lowbit.OutputComparison](), "ImageInput": reflect.TypeFor[lowbit.ImageInput](),
	"PlanNode": reflect.TypeFor[lowbit.PlanNode](), "PlanValue": reflect.TypeFor[lowbit.PlanValue](), "RecipeData": reflect.TypeFor[lowbit.RecipeData](), "RecipeSamples": reflect.TypeFor[lowbit.RecipeSamples](), "Scheme": reflect.TypeFor[lowbit.Scheme](), "Share": reflect.TypeFor[lowbit.Share](),

	"Cause": reflect.TypeFor[lowbit.Cause](), "CompileOptions": reflect.TypeFor[lowbit.CompileOptions](), "DType": reflect.TypeFor[lowbit.DType](), "Data": reflect.TypeFor[lowbit.Data](),
	"DataOptions": reflect.TypeFor[lowbit.DataOptions](), "DiagnoseOptions": reflect.TypeFor[lowbit.DiagnoseOptions](), "Diagnosis": reflect.TypeFor[lowbit.Diagnosis](), "Dim": reflect.TypeFor[lowbit.Dim](),
	"Drawn": reflect.TypeFor[lowbit.Drawn](), "Effort": reflect.TypeFor[lowbit.Effort](), "Error": reflect.TypeFor[lowbit.Error](), "ErrorKind": reflect.TypeFor[lowbit.ErrorKind](),
	"Fix": reflect.TypeFor[lowbit.Fix](), "Fixed": reflect.TypeFor[lowbit.Fixed](), "Gate": reflect.TypeFor[lowbit.Gate](), "Journal": reflect.TypeFor[lowbit.Journal](), "Keep": reflect.TypeFor[lowbit.Keep](),
	"Layer": reflect.TypeFor[lowbit.Layer](), "Limits": reflect.TypeFor[lowbit.Limits](), "Model": reflect.TypeFor[lowbit.Model](), "Override": reflect.TypeFor[lowbit.Override](), "Plan": reflect.TypeFor[lowbit.Plan](),
	"QuantizeOptions": reflect.TypeFor[lowbit.QuantizeOptions](), "Recipe": reflect.TypeFor[lowbit.Recipe](), "Result": reflect.TypeFor[lowbit.Result](), "Sample": reflect.TypeFor[lowbit.Sample](),
	"SaveOptions": reflect.TypeFor[lowbit.SaveOptions](), "Session": reflect.TypeFor[lowbit.Session](), "Tensor": reflect.TypeFor[lowbit.Tensor](), "Type": reflect.TypeFor[lowbit.Type](), "Value": reflect.TypeFor[lowbit.Value](),
}

// within is what only packages of this module can use, and Element, a constraint, which no value has.
var within = []string{"FromGraph", "QuantizeBy", "Graph", "Element"}

// TestNameable holds the API usable from other modules: what a caller has to hand over is made of types that the package
// names, and so are results. Fields of results need no name to be read, nor do structs that are held by value to be set.
func TestNameable(t *testing.T) {
	a := &apiCheck{t: t, named: map[reflect.Type]bool{}, seen: map[reflect.Type]bool{}}
	for _, typ := range public {
		a.named[typ] = true
	}
	for _, name := range slices.Sorted(maps.Keys(public)) {
		typ := public[name]
		if typ.Kind() == reflect.Func {
			a.signature(name, typ, 0)
			continue
		}
		if typ.PkgPath() != "lowbit" {
			continue // a type of a package within, some of whose methods are for packages of this module
		}
		for m := range reflect.PointerTo(typ).Methods() {
			if !slices.Contains(within, m.Name) {
				a.signature(name+"."+m.Name, m.Type, 1)
			}
		}
	}
	run, _ := reflect.TypeFor[*lowbit.Session]().MethodByName("Run")
	a.signature("Session.Run", run.Type, 1)
}

// An apiCheck looks for types that callers cannot name.
type apiCheck struct {
	t     *testing.T
	named map[reflect.Type]bool
	seen  map[reflect.Type]bool // structs whose fields were looked at
}

// signature looks at what a function takes, from a parameter on, and returns.
func (a *apiCheck) signature(place string, f reflect.Type, from int) {
	for i := from; i < f.NumIn(); i++ {
		a.made(place, f.In(i))
	}
	for i := range f.NumOut() {
		a.nameable(place, f.Out(i))
	}
}

// nameable holds the types that a type is written with against those that the package names.
func (a *apiCheck) nameable(place string, typ reflect.Type) {
	if typ.Name() != "" {
		if strings.HasPrefix(typ.PkgPath(), "lowbit") && !a.named[typ] {
			a.t.Errorf("%s: other modules cannot name %s", place, typ)
		}
		return
	}
	switch typ.Kind() {
	case reflect.Map:
		a.nameable(place, typ.Key())
		a.nameable(place, typ.Elem())
	case reflect.Pointer, reflect.Slice, reflect.Array:
		a.nameable(place, typ.Elem())
	case reflect.Func:
		a.signature(place, typ, 0)
	}
}

// made is nameable for a type whose values callers make, down to the fields that they set. Functions make tensors; a plan is made by Quantize, or read.
func (a *apiCheck) made(place string, typ reflect.Type) {
	a.nameable(place, typ)
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || a.seen[typ] || typ == public["Tensor"] || typ == public["Plan"] {
		return
	}
	a.seen[typ] = true
	for f := range typ.Fields() {
		switch {
		case !f.IsExported():
		case f.Type.Kind() == reflect.Struct && !a.named[f.Type]:
			a.fields(place+": "+f.Name, f.Type)
		default:
			a.made(place+": "+f.Name, f.Type)
		}
	}
}

func (a *apiCheck) fields(place string, typ reflect.Type) {
	a.named[typ] = true
	a.made(place, typ)
	a.named[typ] = false
}

// TestPublicIsWhole holds the table above against the source: every exported name stands in it and has a comment, and the examples
// import nothing that other modules cannot.
func TestPublicIsWhole(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, path := range paths {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case path == "example_test.go":
			for _, i := range f.Imports {
				if name, _ := strconv.Unquote(i.Path.Value); strings.HasPrefix(name, "lowbit/") {
					t.Errorf("%s imports %s", path, name)
				}
			}
		case strings.HasSuffix(path, "_test.go"):
		default:
			for _, d := range f.Decls {
				exported(d, func(name string, told bool) {
					found[name] = true
					if !told {
						t.Errorf("%s: %s has no comment", path, name)
					}
				})
			}
		}
	}
	for name := range found {
		if public[name] == nil && !slices.Contains(within, name) {
			t.Errorf("%s is missing in the table", name)
		}
	}
	for name := range public {
		if !found[name] {
			t.Errorf("%s is in the table, but not in the package", name)
		}
	}
}

// unsaid are fields of types from within that programs of other modules have no use for.
var unsaid = []string{"Value.Doc", "Value.Meta", "Value.Unknown", "Type.Kind", "Type.Denotation", "Type.Unknown", "Dim.Doc"}

// TestFieldsAreTold holds the comments of types that stand for those of packages within against these: go doc shows no more of them.
func TestFieldsAreTold(t *testing.T) {
	for name, text := range comments(t) {
		typ := public[name]
		if typ == nil || typ.PkgPath() == "lowbit" {
			continue
		}
		var members []string
		switch typ.Kind() {
		case reflect.Struct:
			for f := range typ.Fields() {
				if f.IsExported() {
					members = append(members, f.Name)
				}
			}
		case reflect.Interface:
			for m := range typ.Methods() {
				members = append(members, m.Name)
			}
		}
		for _, m := range members {
			if !strings.Contains(text, "\n\t"+m+" ") && !strings.Contains(text, "\n\t"+m+"(") && !slices.Contains(unsaid, name+"."+m) {
				t.Errorf("the comment of %s does not list %s", name, m)
			}
		}
	}
}

// comments returns what the package's source tells of each type.
func comments(t *testing.T) map[string]string {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, path := range paths {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE && len(g.Specs) == 1 {
				told[g.Specs[0].(*ast.TypeSpec).Name.Name] = g.Doc.Text()
			}
		}
	}
	return told
}

// TestHintsNameNoFlags keeps the words of the command line out of what packages within tell: they write settings in backquotes,
// which the command line spells as flags. What doctor advises is for the command line.
func TestHintsNameNoFlags(t *testing.T) {
	flag := regexp.MustCompile(`(^|[ (])--[a-z]`)
	err := filepath.WalkDir("internal", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "doctor" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), "_")) {
			return cmp.Or(err, fs.SkipDir)
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if text, _ := strconv.Unquote(l.Value); flag.MatchString(text) {
					t.Errorf("%s: %q names a flag", path, text)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// exported tells of each function, method of an own type and type that d declares, and whether a comment does.
func exported(d ast.Decl, tell func(name string, told bool)) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Recv == nil {
			tell(d.Name.Name, d.Doc != nil)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if s, ok := s.(*ast.TypeSpec); ok && s.Name.IsExported() {
				tell(s.Name.Name, d.Doc != nil || s.Doc != nil)
			}
		}
	}
}

// TestReadme holds the Go code of README.md to be what example_test.go compiles.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```go\n")
	code, _, ok := strings.Cut(rest, "```")
	if !ok || !strings.Contains(string(example), code) {
		t.Error("the code in README.md does not stand in example_test.go")
	}
}

// TestMisuse gives the API what it cannot take: each is an error of that kind.
func TestMisuse(t *testing.T) {
	ctx := context.Background()
	m, err := lowbit.Open("testdata/tiny.onnx")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.Compile(lowbit.CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x, err := lowbit.NewTensor(make([]float32, 4), 1, 4)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := lowbit.NewStrings([]string{"1", "x"}, 2)
	list, _ := lowbit.NewSequence(lowbit.Float32, x)
	data := func(in map[string]*lowbit.Tensor) *lowbit.Data {
		d, err := lowbit.NewData(4, func(int) (map[string]*lowbit.Tensor, error) { return in, nil })
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	run := func(in map[string]*lowbit.Tensor) error { _, err := s.Run(ctx, in); return err }
	quantize := func(o lowbit.QuantizeOptions) error { _, err := lowbit.Quantize(ctx, m, o); return err }
	boom := errors.New("boom")
	broken, _ := lowbit.NewData(4, func(int) (map[string]*lowbit.Tensor, error) { return nil, boom })
	done, cancel := context.WithCancel(ctx)
	cancel()
	for name, c := range map[string]struct {
		want error
		do   func() error
	}{
		"a file that is not there": {lowbit.ErrIO, func() error { _, err := lowbit.Open("none.onnx"); return err }},
		"a file that is no model":  {lowbit.ErrInvalid, func() error { _, err := lowbit.Open("README.md"); return err }},
		"bytes that are no model":  {lowbit.ErrInvalid, func() error { _, err := lowbit.Decode([]byte{1, 2, 3}); return err }},
		"a limit": {lowbit.ErrLimit, func() error {
			_, err := lowbit.OpenLimited("testdata/tiny.onnx", lowbit.Limits{ModelBytes: 10})
			return err
		}},
		"an unknown CPU":               {lowbit.ErrInvalid, func() error { _, err := m.Compile(lowbit.CompileOptions{CPU: "z80"}); return err }},
		"too few elements":             {lowbit.ErrInvalid, func() error { _, err := lowbit.NewTensor([]float32{1}, 2); return err }},
		"a negative shape":             {lowbit.ErrInvalid, func() error { _, err := lowbit.NewTensor([]float32{1}, -1, -1); return err }},
		"a vast shape":                 {lowbit.ErrInvalid, func() error { _, err := lowbit.NewTensor([]float32{}, 1<<62, 4, 1<<62); return err }},
		"bits of another size":         {lowbit.ErrInvalid, func() error { _, err := lowbit.NewTensorOf(lowbit.Float16, []uint32{1}, 1); return err }},
		"numbers as another type":      {lowbit.ErrInvalid, func() error { _, err := lowbit.NewTensorOf(lowbit.Int32, []float32{1}, 1); return err }},
		"numbers as no type":           {lowbit.ErrInvalid, func() error { _, err := lowbit.NewTensorOf(lowbit.DType(77), []float32{1}, 1); return err }},
		"packed numbers as bytes":      {lowbit.ErrInvalid, func() error { _, err := lowbit.NewTensorOf(lowbit.Int4, []int8{1}, 1); return err }},
		"strings of another shape":     {lowbit.ErrInvalid, func() error { _, err := lowbit.NewStrings([]string{"a"}, 2); return err }},
		"a sequence of another type":   {lowbit.ErrInvalid, func() error { _, err := lowbit.NewSequence(lowbit.Int8, x); return err }},
		"a sequence of nothing":        {lowbit.ErrInvalid, func() error { _, err := lowbit.NewSequence(lowbit.Int8, nil); return err }},
		"values of nothing":            {lowbit.ErrInvalid, func() error { _, err := lowbit.Values[float32](nil); return err }},
		"values of another type":       {lowbit.ErrInvalid, func() error { _, err := lowbit.Values[int32](x); return err }},
		"values of strings":            {lowbit.ErrInvalid, func() error { _, err := lowbit.Values[uint8](text); return err }},
		"values of a sequence":         {lowbit.ErrInvalid, func() error { _, err := lowbit.Values[float32](list); return err }},
		"values that are not there":    {lowbit.ErrInvalid, func() error { _, err := lowbit.Values[float32](x.Reshape(5)); return err }},
		"a sequence to convert":        {lowbit.ErrInvalid, func() error { _, err := lowbit.Convert(list, lowbit.Int8); return err }},
		"text that is no number":       {lowbit.ErrInvalid, func() error { _, err := lowbit.Convert(text, lowbit.Int8); return err }},
		"a type that is none":          {lowbit.ErrInvalid, func() error { _, err := lowbit.Convert(x, 0); return err }},
		"numbers as complex ones":      {lowbit.ErrInvalid, func() error { _, err := lowbit.Convert(x, lowbit.Complex64); return err }},
		"a missing input":              {lowbit.ErrInvalid, func() error { return run(nil) }},
		"an input that is nil":         {lowbit.ErrInvalid, func() error { return run(map[string]*lowbit.Tensor{"x": nil}) }},
		"an unknown input":             {lowbit.ErrInvalid, func() error { return run(map[string]*lowbit.Tensor{"x": x, "z": x}) }},
		"an input without bytes":       {lowbit.ErrInvalid, func() error { return run(map[string]*lowbit.Tensor{"x": {DType: lowbit.Float32, Shape: []int{1, 4}}}) }},
		"a sequence as input":          {lowbit.ErrInvalid, func() error { return run(map[string]*lowbit.Tensor{"x": list}) }},
		"a run that was given up":      {context.Canceled, func() error { _, err := s.Run(done, map[string]*lowbit.Tensor{"x": x}); return err }},
		"data that is not named":       {lowbit.ErrInvalid, func() error { _, err := lowbit.OpenData("", lowbit.DataOptions{}); return err }},
		"data that is not there":       {lowbit.ErrIO, func() error { _, err := lowbit.OpenData("nowhere/", lowbit.DataOptions{}); return err }},
		"a negative number of samples": {lowbit.ErrInvalid, func() error { _, err := lowbit.OpenData("testdata", lowbit.DataOptions{Samples: -1}); return err }},
		"no samples":                   {lowbit.ErrInvalid, func() error { _, err := lowbit.NewData(0, nil); return err }},
		"a sample that is not there":   {lowbit.ErrInvalid, func() error { _, err := data(nil).Sample(4); return err }},
		"static without data":          {lowbit.ErrInvalid, func() error { return quantize(lowbit.QuantizeOptions{}) }},
		"an unknown scheme":            {lowbit.ErrInvalid, func() error { return quantize(lowbit.QuantizeOptions{Recipe: &lowbit.Recipe{Scheme: "W9"}}) }},
		"an unknown repair":            {lowbit.ErrInvalid, func() error { return quantize(lowbit.QuantizeOptions{Recipe: &lowbit.Recipe{Fix: []string{"magic"}}}) }},
		"samples without inputs":       {lowbit.ErrInvalid, func() error { return quantize(lowbit.QuantizeOptions{Data: data(nil)}) }},
		"samples of a nil tensor":      {lowbit.ErrInvalid, func() error { return quantize(lowbit.QuantizeOptions{Data: data(map[string]*lowbit.Tensor{"x": nil})}) }},
		"samples of another type": {lowbit.ErrInvalid, func() error {
			return quantize(lowbit.QuantizeOptions{Data: data(map[string]*lowbit.Tensor{"x": text})})
		}},
		"samples that cannot be made": {boom, func() error { return quantize(lowbit.QuantizeOptions{Data: broken}) }},
		"a quantization that was ended": {context.Canceled, func() error {
			_, err := lowbit.Quantize(done, m, lowbit.QuantizeOptions{Data: data(map[string]*lowbit.Tensor{"x": x})})
			return err
		}},
		"a recipe that is not there":    {lowbit.ErrIO, func() error { _, err := lowbit.ReadRecipe("none.yaml"); return err }},
		"a diagnosis without data":      {lowbit.ErrInvalid, func() error { _, err := lowbit.Diagnose(ctx, m, m, lowbit.DiagnoseOptions{}); return err }},
		"a file that would be replaced": {lowbit.ErrInvalid, func() error { return m.Save("testdata/tiny.onnx", lowbit.SaveOptions{Force: true}) }},
		"a folder that is not there":    {lowbit.ErrIO, func() error { return m.Save("none/tiny.onnx", lowbit.SaveOptions{}) }},
		"a comparison without data":     {lowbit.ErrInvalid, func() error { _, err := lowbit.Compare(ctx, m, m, lowbit.CompareOptions{}); return err }},
		"a comparison with nothing": {lowbit.ErrInvalid, func() error {
			_, err := lowbit.Compare(ctx, m, nil, lowbit.CompareOptions{Data: data(nil)})
			return err
		}},
		"a comparison on nothing": {lowbit.ErrInvalid, func() error { _, err := lowbit.Compare(ctx, m, m, lowbit.CompareOptions{Data: data(nil)}); return err }},
		"a comparison that was ended": {context.Canceled, func() error {
			_, err := lowbit.Compare(done, m, m, lowbit.CompareOptions{Data: data(map[string]*lowbit.Tensor{"x": x})})
			return err
		}},
		"a recipe that is none": {lowbit.ErrInvalid, func() error {
			_, err := lowbit.ParseRecipe([]byte("{schema: lowbit.recipe/v1, sceme: W8A8}"))
			return err
		}},
		"losses without data": {lowbit.ErrInvalid, func() error { _, err := lowbit.Losses(ctx, m, m, lowbit.DiagnoseOptions{}); return err }},
	} {
		if err := c.do(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, not an error that is %q", name, err, c.want)
		}
	}
}
