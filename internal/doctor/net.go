package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// A net is a quantized network whose sites can be taken out one by one, beside the float one
// that it was made from.
type net struct {
	float *graph.Model // prepared
	raw   *graph.Model // as it came: constants have their own names there
	m     *graph.Model // in Q/DQ form
	x     *graph.Index
	fx    *graph.Index                // of float
	twin  map[*graph.Node]*graph.Node // of nodes of m: their counterparts in float
	sites []*site                     // in the order of the graph
	nodes []*unit                     // those that read or write quantized values
	// factors are those of a value's channels against the float network's, by name; nil: all one.
	factors map[string][]float64
	// stated are the first of those factors that constants of the file tell of, and no codes.
	stated map[*float64]bool
	// disbelieved are the units whose own factors are taken for a fault of theirs.
	disbelieved map[*unit]bool
}

// kind says what a site quantizes.
type kind uint8

const (
	weights kind = iota
	bias
	acts
)

// A site is one place where a network is quantized: a constant of few bits, or a value that flows as codes.
type site struct {
	kind kind
	name string // the value before it is quantized
	dq   map[*graph.Node]bool
	to   []string // values that readers get
	unit *unit    // that reads a constant; that writes an activation, or first reads it

	coded *weight.Coded  // of weights
	off   *tensor.Tensor // of constants: what stands in float for it; nil where that is not known
	codes *tensor.Tensor // of a bias

	q       *graph.Node // of activations: the QuantizeLinear
	from    string      // and its operand
	format  *format.Format
	params  format.Params
	read    format.Params // by which the codes are read, which has to be params
	dynamic bool          // a scale is found for each sample; params are those that all of them together would have
	clamps  []*graph.Node // of the float network, which the saturation of the codes took over
	reads   []use
}

// A use is a node and the operand at which it reads.
type use struct {
	unit *unit
	in   int
}

// A unit is a node that reads or writes quantized values.
type unit struct {
	node    *graph.Node
	name    string
	weights *site // nil where it has none
	bias    *site
	in      []*site     // activations by operand; nil where one is not quantized
	out     *site       // nil where the result is not quantized
	adder   *graph.Node // of a layer: what adds its bias, the node itself or an Add behind it; nil where it has none
	added   int         // and at which operand
	// unmoved is what the bias of a layer with weights of few bits is without them, where it is in float and was moved to make
	// up for their rounding; nil where it was not.
	unmoved *tensor.Tensor
}

// newNet finds the sites of a network and their counterparts in the float one.
func newNet(float, quantized *graph.Model) (*net, error) {
	n := &net{raw: float, float: pass.Clone(float), m: pass.Clone(quantized)}
	for _, m := range []*graph.Model{n.float, n.m} { // whichever computes in 16-bit floats
		if _, err := pass.Widen(m); err != nil {
			return nil, err
		}
	}
	if err := n.prepareFloat(); err != nil {
		return nil, err
	}
	for _, p := range []*pass.Pass{pass.InitInputs, pass.Inline, pass.Constants, pass.Identities} {
		if err := p.Run(n.m); err != nil {
			return nil, err
		}
	}
	if err := pass.Spread(n.m); err != nil {
		return nil, err
	}
	n.x, n.fx = n.m.Graph.Index(), n.float.Graph.Index()
	n.find()
	n.pair()
	n.align()
	for _, s := range n.sites {
		if s.kind == acts {
			n.unclip(s)
		}
	}
	return n, nil
}

// prepareFloat cleans the float network as it was before it was quantized: factors and shifts of channels that the quantized one
// still has as operators, as other tools leave them, stay operators.
func (n *net) prepareFloat() error {
	plain := pass.Clone(n.float)
	if err := pass.Prepare(n.float); err != nil {
		return err
	}
	if err := pass.PrepareBut(plain, pass.Affine); err != nil {
		return err
	}
	folded, quantized := labels(n.float), labels(n.m)
	for _, node := range plain.Graph.Nodes {
		if name := nameOf(node); !folded[name] && quantized[name] {
			n.float = plain
			break
		}
	}
	return nil
}

// labels are the names that the nodes of a network go by.
func labels(m *graph.Model) map[string]bool {
	all := map[string]bool{}
	for _, node := range m.Graph.Nodes {
		all[nameOf(node)] = true
	}
	return all
}

// find lists the sites.
func (n *net) find() {
	byQ, byCode := map[*graph.Node]*site{}, map[string]*site{}
	for _, node := range n.m.Graph.Nodes {
		o := op.Lookup(node.Domain, node.Op)
		if o == nil || pass.IsQuantized(node) {
			continue
		}
		u := &unit{node: node, name: nameOf(node), in: make([]*site, len(node.In))}
		used := false
		for i, name := range node.In {
			s := n.siteOf(name, byQ, byCode)
			if s == nil {
				continue
			}
			used = true
			s.reads = append(s.reads, use{u, i})
			switch {
			case s.kind == acts:
				u.in[i] = s
			case s.kind == bias:
				u.bias = s
			case o.Quant.Role(i) == op.Weight && u.weights == nil:
				u.weights = s
			default:
				u.in[i] = s // a constant that takes part like an activation
			}
		}
		if len(node.Out) > 0 {
			for _, r := range n.x.Uses(node.Out[0]) {
				if isQuantize(r.Node) && r.In == 0 {
					u.out = n.actSite(r.Node, byQ)
					used = used || u.out != nil
				}
			}
		}
		if used {
			n.nodes = append(n.nodes, u)
		}
	}
	n.biases()
	n.own()
}

// own says whose each site is: a constant's is the node that reads it, an activation's the node in which
// its numbers arise, or the first to read it where they come from outside.
func (n *net) own() {
	byNode := map[*graph.Node]*unit{}
	for _, u := range n.nodes {
		byNode[u.node] = u
	}
	for _, u := range n.nodes {
		for _, s := range append([]*site{u.weights, u.bias, u.out}, u.in...) {
			if s == nil || slices.Contains(n.sites, s) {
				continue
			}
			n.sites = append(n.sites, s)
			if s.kind == acts {
				s.unit = byNode[n.origin(s.from)]
			}
			if s.unit == nil {
				s.unit = u
			}
		}
	}
}

// origin is the node in which the numbers of a value arise, nil for those of inputs: clamps and operators
// that move values pass them on.
func (n *net) origin(name string) *graph.Node {
	for {
		p := n.x.Producer(name)
		if p == nil || len(p.In) == 0 {
			return p
		}
		o := op.Lookup(p.Domain, p.Op)
		if o == nil || !o.Quant.Clamp && !o.Quant.Share && !pass.IsQuantized(p) {
			return p
		}
		name = p.In[0]
	}
}

// nameOf is the word by which reports call a node.
func nameOf(node *graph.Node) string {
	name := node.Name
	if name == "" && len(node.Out) > 0 {
		name = node.Out[0]
	}
	return strings.TrimSuffix(name, "_quant")
}

// siteOf returns the site behind a value that a node reads, nil where there is none.
func (n *net) siteOf(name string, byQ map[*graph.Node]*site, byCode map[string]*site) *site {
	if s := byCode[name]; s != nil {
		return s
	}
	d := n.x.Producer(name)
	if name == "" || d == nil {
		return nil
	}
	if d.Op == "DequantizeLinear" {
		if q := n.x.Producer(d.In[0]); q != nil && isQuantize(q) {
			s := n.actSite(q, byQ)
			if s != nil && !s.dq[d] {
				s.dq[d] = true
				s.to = append(s.to, name)
			}
			return s
		}
	}
	s := n.constSite(name, d)
	if s != nil {
		byCode[name] = s
	}
	return s
}

// constSite reads a constant of few bits, or an int32 bias.
func (n *net) constSite(name string, d *graph.Node) *site {
	s := &site{kind: weights, name: name, to: []string{name}, dq: map[*graph.Node]bool{d: true}}
	if d.Op == "DequantizeLinear" && len(d.In) > 1 {
		t, scale := n.m.Graph.ConstTensor(d.In[0]), n.m.Graph.ConstTensor(d.In[1])
		if t != nil && t.DType == tensor.Int32 && scale != nil && scale.DType == tensor.Float32 {
			s.kind, s.codes, s.name = bias, t, d.In[0]
			return s
		}
		if t != nil {
			s.name = d.In[0]
		}
	}
	if s.coded = weight.Read(source{n}, name); s.coded == nil {
		return nil
	}
	return s
}

// source lets weight read the graph.
type source struct{ *net }

func (s source) Producer(name string) *graph.Node       { return s.x.Producer(name) }
func (s source) ConstTensor(name string) *tensor.Tensor { return s.m.Graph.ConstTensor(name) }

// isQuantize says whether a node makes codes of an activation.
func isQuantize(n *graph.Node) bool {
	return n.Op == "QuantizeLinear" || n.Op == "DynamicQuantizeLinear"
}

// actSite reads a site with one scale.
func (n *net) actSite(q *graph.Node, byQ map[*graph.Node]*site) *site {
	if s, ok := byQ[q]; ok {
		return s
	}
	byQ[q] = nil
	s := &site{kind: acts, name: q.In[0], from: q.In[0], q: q, dq: map[*graph.Node]bool{}}
	if q.Op == "DynamicQuantizeLinear" {
		s.dynamic, s.format = true, format.Uint8
	} else if !n.fixed(s) {
		return nil
	}
	for _, r := range n.x.Uses(q.Out[0]) {
		if r.Node.Op == "DequantizeLinear" && r.In == 0 && !s.dq[r.Node] {
			s.dq[r.Node] = true
			s.to = append(s.to, r.Node.Out[0])
			if p, _, ok := n.paramsOf(r.Node); ok && !s.dynamic && p != s.params {
				s.read = p
			}
		}
	}
	if len(s.to) == 0 {
		return nil
	}
	byQ[q] = s
	return s
}

// fixed reads the format and the parameters of a QuantizeLinear with one scale.
func (n *net) fixed(s *site) bool {
	p, elem, ok := n.paramsOf(s.q)
	if !ok {
		return false
	}
	if d := tensor.DType(s.q.Int("output_dtype", 0)); d != 0 && elem == 0 {
		elem = d
	}
	s.params, s.read = p, p
	s.format = format.ByElem(cmp.Or(elem, tensor.Uint8))
	return s.format != nil
}

// paramsOf reads the one scale and zero point of a node that makes codes or reads them, and the type that the zero
// point names.
func (n *net) paramsOf(node *graph.Node) (p format.Params, elem tensor.DType, ok bool) {
	if len(node.In) < 2 {
		return p, elem, false
	}
	scale := n.m.Graph.ConstTensor(node.In[1])
	if scale == nil || scale.DType != tensor.Float32 || scale.Len() != 1 {
		return p, elem, false
	}
	p.Scale = tensor.Of[float32](scale)[0]
	if len(node.In) > 2 && node.In[2] != "" {
		z := n.m.Graph.ConstTensor(node.In[2])
		if z == nil || z.Len() != 1 {
			return p, elem, false
		}
		elem = z.DType
		if !elem.IsFloat() {
			v, err := z.Ints()
			if err != nil {
				return p, elem, false
			}
			p.Zero = int32(v[0])
		}
	}
	return p, elem, true
}

// span is the range of numbers that an activation's codes reach.
func (s *site) span() (lo, hi float64) {
	a, b := s.format.Range(s.params)
	return float64(a), float64(b)
}

// String names a site in messages.
func (s *site) String() string {
	return fmt.Sprintf("%s %q", [...]string{"weights", "bias", "value"}[s.kind], s.name)
}

// layers lists the units that multiply by constant weights.
func (n *net) layers() []*unit {
	var list []*unit
	for _, u := range n.nodes {
		if u.weights != nil {
			list = append(list, u)
		}
	}
	return list
}
