package repair

import (
	"context"
	"fmt"
	"math"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// A site is a set of lanes that may be scaled, for all that reads them is weights. What a factor
// takes from the lanes, it gives to the columns of those weights.
type site struct {
	readers []*reader
	roots   []int       // that may take a factor
	at      map[int]int // their places in roots
}

// A reader is a layer that reads a site's lanes, with rows of its input.
type reader struct {
	slot      *slot
	value     *plan.Value // the weight in the plan
	act       *format.Format
	symmetric bool
	win       window
	lanes     []int // by group and column: the root; -1 where it takes no factor
	fit, held sight
}

// A sight is what samples show of a reader: rows of its input by group (n,k), and what they make (n,rows).
type sight struct {
	x, y  [][]float32
	power float64 // Σy²
}

const (
	sightRows  = 2048     // of all samples
	sightBytes = 96 << 20 // that the rows of one site take
)

// sites lists the sites of a graph whose readers' weights are stored in codes.
func (l *Lanes) sites(j *Job) []*site {
	rows := map[string]*plan.Node{}
	for _, r := range j.Plan.Nodes {
		rows[r.Name] = r
	}
	var list []*site
	byRoot := map[int]*site{}
	for i := range l.slots {
		s := &l.slots[i]
		row := rows[plan.NodeName(s.node)]
		if !s.weight || !s.divide || row == nil || s.in >= len(row.Inputs) {
			continue
		}
		r := l.reader(j, s, row)
		if r == nil {
			continue
		}
		own := &site{at: map[int]int{}}
		for _, lane := range r.lanes {
			if lane >= 0 && byRoot[lane] != nil {
				own = byRoot[lane]
				break
			}
		}
		if len(own.readers) == 0 {
			list = append(list, own)
		}
		own.readers = append(own.readers, r)
		for _, lane := range r.lanes {
			if _, known := own.at[lane]; lane >= 0 && !known {
				own.at[lane] = len(own.roots)
				own.roots = append(own.roots, lane)
				byRoot[lane] = own
			}
		}
	}
	return slices.DeleteFunc(list, func(s *site) bool { return len(s.roots) == 0 })
}

// reader describes a layer, nil where its weights are not stored in codes.
func (l *Lanes) reader(j *Job, s *slot, row *plan.Node) *reader {
	v := j.Plan.Value(row.Inputs[s.in])
	win, ok := windowOf(s.node, s.tensor())
	if v == nil || !ok {
		return nil
	}
	r := &reader{slot: s, value: v, win: win, symmetric: j.Settings.Symmetric}
	if act := j.Plan.Value(row.Inputs[0]); act != nil && row.Quantized && (j.Plan.Mode == plan.Static || j.Plan.Mode == plan.Dynamic) {
		r.act = format.Lookup(act.Format)
	}
	taps := max(1, tensor.Elements(win.kernel))
	for i := range win.groups * win.k {
		lane := l.root(s.lane + i/taps)
		if l.fixed[lane] || l.limit[lane] != 0 {
			lane = -1
		}
		r.lanes = append(r.lanes, lane)
	}
	return r
}

// width is how many numbers a row of each of its readers has together.
func (s *site) width() (n int) {
	for _, r := range s.readers {
		n += r.win.groups * r.win.k
	}
	return n
}

// rows is how many rows of each of so many samples are looked at.
func (s *site) rows(samples int) int {
	return max(1, min(sightRows, sightBytes/(4*s.width()))/samples)
}

// look runs the float network on as far as the values that the readers of some sites read, and collects what samples show
// of these if that is wanted.
func look(ctx context.Context, j *Job, t *tour, sites []*site, keep bool) error {
	samples := len(j.Fit) + len(j.Held)
	var watch []string
	byValue, per := map[string][]*reader{}, map[*reader]int{}
	for _, s := range sites {
		for _, r := range s.readers {
			name := r.slot.node.In[0]
			if byValue[name] == nil {
				watch = append(watch, name)
			}
			byValue[name] = append(byValue[name], r)
			per[r] = s.rows(samples)
		}
	}
	seen := make([]map[*reader][]float32, samples)
	for i := range seen {
		seen[i] = map[*reader][]float32{}
	}
	err := t.show(ctx, watch, func(i int, value string, t *tensor.Tensor) {
		if !keep {
			return
		}
		for _, r := range byValue[value] {
			seen[i][r] = r.win.patches(t, r.win.output(t.Shape), picks(r.win.elements(t.Shape), per[r]))
		}
	})
	if err != nil || !keep {
		return err
	}
	for r := range per {
		w := r.weights(tensor.Of[float32](r.slot.tensor()))
		r.fit, r.held = r.sight(j, seen[:len(j.Fit)], w), r.sight(j, seen[len(j.Fit):], w)
	}
	return nil
}

// sight joins the rows of samples.
func (r *reader) sight(j *Job, seen []map[*reader][]float32, w [][]float32) sight {
	var s sight
	for g := range r.win.groups {
		var x []float32
		for _, own := range seen {
			rows := own[r]
			n := len(rows) / (r.win.groups * r.win.k)
			x = append(x, rows[g*n*r.win.k:][:n*r.win.k]...)
		}
		y := r.product(j, x, w[g])
		for _, v := range y {
			s.power += float64(v) * float64(v)
		}
		s.x, s.y = append(s.x, x), append(s.y, y)
	}
	return s
}

func (r *reader) product(j *Job, x, w []float32) []float32 {
	k := r.win.k
	return product(context.Background(), j.Level, 1, x, len(x)/k, w, r.win.rows, k, kernel.Order{N: k, K: 1})
}

// weights cuts a weight into (rows,k) by group.
func (r *reader) weights(w []float32) [][]float32 {
	var list [][]float32
	for g := range r.win.groups {
		own := make([]float32, r.win.rows*r.win.k)
		for o := range r.win.rows {
			for i := range r.win.k {
				own[o*r.win.k+i] = w[r.win.index(g, o, i)]
			}
		}
		list = append(list, own)
	}
	return list
}

// factor is what column i of group g is multiplied by.
func (r *reader) factor(s *site, factors []float64, g, i int) float64 {
	if lane := r.lanes[g*r.win.k+i]; lane >= 0 {
		return factors[s.at[lane]]
	}
	return 1
}

// loss is the squared error of all readers' results, each as a share of its signal, where the
// lanes are multiplied by factors (by root) and all that is stored in codes is rounded.
func (s *site) loss(j *Job, factors []float64) (fit, held float64, err error) {
	for _, r := range s.readers {
		f, h, err := r.loss(j, s, factors)
		if err != nil {
			return 0, 0, err
		}
		fit, held = fit+f, held+h
	}
	return fit, held, nil
}

func (r *reader) loss(j *Job, s *site, factors []float64) (fit, held float64, err error) {
	t := r.slot.tensor()
	scaled := slices.Clone(tensor.Of[float32](t))
	for g := range r.win.groups {
		for o := range r.win.rows {
			for i := range r.win.k {
				at := r.win.index(g, o, i)
				v := float32(float64(scaled[at]) / r.factor(s, factors, g, i))
				if v-v != 0 { // as where samples or weights are huge
					return math.Inf(1), math.Inf(1), nil
				}
				scaled[at] = v
			}
		}
	}
	rounded, err := r.value.Rounded(tensor.Float32s(scaled, t.Shape...))
	if err != nil {
		return 0, 0, err
	}
	w := r.weights(tensor.Of[float32](rounded))
	return r.miss(j, s, &r.fit, w, factors), r.miss(j, s, &r.held, w, factors), nil
}

// miss is the error of weights w on scaled rows.
func (r *reader) miss(j *Job, s *site, seen *sight, w [][]float32, factors []float64) float64 {
	sum := 0.0
	scaled := make([][]float32, r.win.groups)
	var lo, hi float32
	by := make([]float32, r.win.k)
	for g, x := range seen.x {
		for i := range by {
			by[i] = float32(r.factor(s, factors, g, i))
		}
		scaled[g] = make([]float32, len(x))
		for at := 0; at < len(x); at += len(by) {
			row, to := x[at:][:len(by)], scaled[g][at:][:len(by)]
			for i, f := range by {
				to[i] = row[i] * f
				lo, hi = min(lo, to[i]), max(hi, to[i])
			}
		}
	}
	for g, x := range scaled {
		if r.act != nil {
			p := r.act.Cover(float64(lo), float64(hi), r.symmetric)
			codes := make([]int32, len(x))
			r.act.Encode(codes, x, p)
			r.act.Decode(x, codes, p)
		}
		for i, v := range r.product(j, x, w[g]) {
			e := float64(v) - float64(seen.y[g][i])
			sum += e * e
		}
	}
	return sum / math.Max(seen.power, 1e-30)
}

// best tries factors and returns those that err least on the samples to fit to, nil unless they err
// less than none on those held back too.
func (s *site) best(ctx context.Context, j *Job, tries [][]float64) (factors []float64, before, after float64, err error) {
	one := make([]float64, len(s.roots))
	for i := range one {
		one[i] = 1
	}
	tries = append([][]float64{one}, tries...)
	fit, held := make([]float64, len(tries)), make([]float64, len(tries))
	err = calib.Each(ctx, len(tries), j.Threads, func(_ context.Context, i int) (err error) {
		fit[i], held[i], err = s.loss(j, tries[i])
		return err
	})
	if err != nil {
		return nil, 0, 0, err
	}
	at := 0
	for i, e := range fit {
		if e < fit[at] {
			at = i
		}
	}
	n := float64(len(s.readers))
	if at == 0 || len(j.Held) > 0 && !(held[at] < held[0]) {
		return nil, held[0] / n, held[0] / n, nil
	}
	return tries[at], held[0] / n, held[at] / n, nil
}

// columns folds what the rows to fit to and the weights show of each root: by keeps one number of
// two.
func (s *site) columns(x, w func(sum, v float64) float64) (acts, weights []float64) {
	acts, weights = make([]float64, len(s.roots)), make([]float64, len(s.roots))
	for _, r := range s.readers {
		own := r.weights(tensor.Of[float32](r.slot.tensor()))
		for g := range r.win.groups {
			for i := range r.win.k {
				lane := r.lanes[g*r.win.k+i]
				if lane < 0 {
					continue
				}
				c := s.at[lane]
				for at := i; at < len(r.fit.x[g]); at += r.win.k {
					acts[c] = x(acts[c], math.Abs(float64(r.fit.x[g][at])))
				}
				for at := i; at < len(own[g]); at += r.win.k {
					weights[c] = w(weights[c], math.Abs(float64(own[g][at])))
				}
			}
		}
	}
	return acts, weights
}

// A move is the factors that a site is scaled by.
type move struct {
	Roots   []int
	Factors []float64
	Change  Change
}

// moved scales the lanes of a network by some moves, and tells of them.
func (l *Lanes) moved(moves []move) *Outcome {
	out, all := &Outcome{}, make([]float64, len(l.parent))
	for i := range all {
		all[i] = 1
	}
	for _, m := range moves {
		for i, f := range m.Factors {
			all[m.Roots[i]] = f
		}
		out.Changes = append(out.Changes, m.Change)
	}
	l.Scale(all)
	return out
}

// migrate scales every site by the best of the factors that propose lists for it.
func migrate(ctx context.Context, j *Job, propose func(s *site) [][]float64) (*Outcome, error) {
	if len(j.Fit) == 0 {
		return &Outcome{Note: "it needs samples"}, nil
	}
	l := FindLanes(j.Net, j.Facts)
	sites := l.sites(j)
	samples := slices.Concat(j.Fit, j.Held)
	readers := map[*graph.Node]bool{}
	for _, s := range sites {
		for _, r := range s.readers {
			readers[r.slot.node] = true
		}
	}
	floats := newTour(j, j.Net, samples, max(betweenBytes(samples), sightBytes/fedShare), func(n *graph.Node) bool { return readers[n] })
	var moves []move
	looked := 0 // sites of which samples were looked at
	for k, s := range sites {
		m, err := Once(j.Journal, fmt.Sprint("site ", k), func() (*move, error) {
			for looked <= k {
				from, to := around(looked, len(sites), sightBytes, func(i int) int { return 4 * sites[i].width() * sites[i].rows(len(samples)) * len(samples) })
				if err := look(ctx, j, floats, sites[from:to], k < to); err != nil {
					return nil, err
				}
				looked = to
			}
			return s.move(ctx, j, propose(s))
		})
		if err != nil {
			return nil, err
		}
		if m != nil {
			moves = append(moves, *m)
		}
		j.progress(k+1, len(sites))
	}
	out := l.moved(moves)
	out.Redo = func(j *Job, keep func(string) bool) *Outcome {
		return FindLanes(j.Net, j.Facts).moved(slices.DeleteFunc(slices.Clone(moves), func(m move) bool { return !keep(m.Change.Place) }))
	}
	switch {
	case len(out.Changes) > 0:
	case len(sites) == 0:
		out.Note = "nothing in front of the weights can take a factor"
	default:
		out.Note = "no factors let layers err less on samples held back"
	}
	return out, nil
}

// move returns the best factors for a site that was looked at, nil where there are none, and forgets what was seen.
func (s *site) move(ctx context.Context, j *Job, tries [][]float64) (*move, error) {
	factors, before, after, err := s.best(ctx, j, tries)
	for _, r := range s.readers {
		r.fit, r.held = sight{}, sight{}
	}
	if err != nil || factors == nil {
		return nil, err
	}
	var out Outcome
	out.addGain(ratio(before, after), plan.NodeName(s.readers[0].slot.node), "%d channels scaled by %.3g to %.3g in front of %d layers: %.1f → %.1f dB on samples held back", len(factors), slices.Min(factors), slices.Max(factors), len(s.readers), ratio(1, before), ratio(1, after))
	return &move{s.roots, factors, out.Changes[0]}, nil
}
