package quantize

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"lowbit/internal/calib"
	"lowbit/internal/engine"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

const (
	payoffTries = 8                     // plans that are timed
	raceTurns   = 5                     // how often two networks are timed in turn
	raceTime    = 20 * time.Millisecond // of one turn of the faster one
	raceRuns    = 500                   // most runs of one turn
	fewerGain   = 0.995                 // of the time: a change of the plan that gains less does not count
	payGain     = 0.97                  // of the time in float: what gains less does not pay for being less exact
	settleTurns = 15                    // of the last race
	settleWins  = 12                    // least of them that few bits win: by chance alone, in 1.8 % of races
)

// payoff times each node of the quantized network beside the float one, and has those stay in float that
// few bits do not make faster on this machine. The settings take note of them; the plan is made anew.
func (q *quantization) payoff(stats map[string]*calib.Stats) error {
	in, err := q.timingInputs()
	if err != nil {
		return err
	}
	p := &payoff{q: q, stats: stats, in: in, warnings: len(q.warnings), mode: q.opt.Settings.Mode}
	if p.float, err = p.compile(q.float); err != nil {
		return err
	}
	defer p.float.Close()
	q.opt.Settings.Leave, err = p.search()
	q.warnings = append(q.warnings[:p.warnings:p.warnings], p.said...)
	return err
}

// A payoff looks for the plan that runs fastest here.
type payoff struct {
	q        *quantization
	stats    map[string]*calib.Stats
	in       map[string]*tensor.Tensor
	mode     plan.Mode
	float    *engine.Session
	warnings int      // of the quantization, before
	said     []string // and what this adds to them
}

// An attempt is a plan that was timed: which nodes it leaves in float, and those that it should leave too.
type attempt struct {
	leave     map[string]string
	quantized int // nodes
	turn
	losers []loser
}

// A turn is how long the quantized network and the float one take, one after the other.
type turn struct{ ours, float time.Duration }

func (t turn) ratio() float64 { return float64(t.ours) / float64(t.float) }

func (t turn) String() string {
	return fmt.Sprintf("the network takes %s on this machine quantized, %s in float", shortTime(t.ours), shortTime(t.float))
}

// A loser is a node that the quantized network computes more slowly.
type loser struct{ name, why string }

// search starts with all nodes quantized and leaves those in float that lose, as long as that helps: all of
// them, or else the worse half, and so on. If float is still faster, every node stays there.
func (p *payoff) search() (map[string]string, error) {
	best, err := p.try(nil)
	if err != nil {
		return nil, err
	}
	for try, k := 1, len(best.losers); k > 0 && try < payoffTries; try++ {
		leave := maps.Clone(best.leave)
		if leave == nil {
			leave = map[string]string{}
		}
		for _, l := range best.losers[:k] {
			leave[l.name] = l.why
		}
		a, err := p.try(leave)
		if err != nil {
			return nil, err
		}
		if a.ratio() < fewerGain*best.ratio() {
			best, k = a, len(a.losers)
		} else {
			k /= 2
		}
		p.q.opt.Progress("time nodes", try, payoffTries)
	}
	if best.ratio() < payGain && best.quantized > 0 {
		return best.leave, nil
	}
	p.said = append(p.said, doesNotPay(best.float))
	return leaveAll(p.q.plan, best.leave, best.turn.String()), nil
}

func doesNotPay(float time.Duration) string {
	return fmt.Sprintf("few bits do not pay on this machine, where the network takes %s in float: all of it stays there", shortTime(float))
}

// leaveAll gives every node that could be quantized a reason to stay in float; known are those found before.
func leaveAll(p *plan.Plan, known map[string]string, why string) map[string]string {
	leave := map[string]string{}
	for _, n := range p.Nodes {
		leave[n.Name] = why
	}
	maps.Copy(leave, known)
	return leave
}

// settle races the finished network, which repairs may have changed since its nodes were timed, and goes
// back to plain, the float network without repairs, where it does not pay.
func (q *quantization) settle(plain *graph.Model, stats map[string]*calib.Stats) error {
	if q.plan.Quantized() > 0 {
		last, wins, err := q.lastRace()
		if err != nil || last.ratio() < payGain && wins >= settleWins {
			return err
		}
		q.warnings = append(q.warnings, doesNotPay(last.float))
		q.opt.Settings.Leave = leaveAll(q.plan, q.opt.Settings.Leave, fmt.Sprintf("%v, and is faster quantized in %d of %d turns", last, wins, settleTurns))
	}
	return q.stayFloat(plain, stats)
}

// stayFloat undoes all repairs and leaves every node in float, for the reasons that the settings have.
func (q *quantization) stayFloat(plain *graph.Model, stats map[string]*calib.Stats) error {
	q.float, q.opt.Settings.Light = plain, nil
	for i := range q.fixes {
		q.fixes[i] = Fix{Name: q.fixes[i].Name, Note: "the network stays in float"}
	}
	var err error
	if q.facts, err = op.Infer(q.float, nil); err != nil {
		return err
	}
	for _, n := range plan.Decide(q.float, q.facts, q.opt.Settings, nil).Nodes {
		if n.Quantized { // repairs had put others in its place
			q.opt.Settings.Leave[n.Name] = "the network stays in float"
		}
	}
	return q.fit(q.opt.Settings, stats)
}

// lastRace times the network as it is now and the float one.
func (q *quantization) lastRace() (median turn, wins int, err error) {
	in, err := q.timingInputs()
	if err != nil {
		return turn{}, 0, err
	}
	if err := q.rewrite(); err != nil {
		return turn{}, 0, err
	}
	p := &payoff{q: q, in: in}
	if p.float, err = p.compile(q.float); err != nil {
		return turn{}, 0, err
	}
	defer p.float.Close()
	s, err := p.compile(q.out)
	if err != nil {
		return turn{}, 0, err
	}
	defer s.Close()
	return p.race(s, settleTurns)
}

// try times the plan that leaves those nodes in float.
func (p *payoff) try(leave map[string]string) (attempt, error) {
	set := p.q.opt.Settings
	set.Leave = leave
	if set.Observer == nil && len(calib.Tried) > 0 {
		set.Observer = calib.Tried[0] // which one does not change the time
	}
	if err := p.q.fit(set, p.stats); err != nil {
		return attempt{}, err
	}
	if err := p.q.rewrite(); err != nil {
		return attempt{}, err
	}
	s, err := p.compile(p.q.out)
	if err != nil {
		return attempt{}, err
	}
	defer s.Close()
	a := attempt{leave: leave, quantized: p.q.plan.Quantized()}
	if a.turn, _, err = p.race(s, raceTurns); err != nil {
		return a, err
	}
	a.losers, err = p.losers(s, a)
	return a, err
}

func (p *payoff) compile(m *graph.Model) (*engine.Session, error) {
	return engine.Compile(m, engine.Options{Threads: p.q.opt.Threads})
}

// race runs s and the float network in turns, and returns the turn that is the median by their ratio, and how
// many s won.
func (p *payoff) race(s *engine.Session, turns int) (median turn, wins int, err error) {
	once, err := timeRuns(p.q.ctx, s, p.in, 3) // warms up as well
	if err != nil {
		return turn{}, 0, err
	}
	if _, err = timeRuns(p.q.ctx, p.float, p.in, 3); err != nil {
		return turn{}, 0, err
	}
	runs := max(3, min(raceRuns, int(raceTime/max(once, 1))))
	times := make([]turn, turns)
	for i := range times {
		t := &times[i]
		if t.ours, err = timeRuns(p.q.ctx, s, p.in, runs); err != nil {
			return turn{}, 0, err
		}
		if t.float, err = timeRuns(p.q.ctx, p.float, p.in, runs); err != nil {
			return turn{}, 0, err
		}
		if t.ours < t.float {
			wins++
		}
	}
	slices.SortFunc(times, func(a, b turn) int { return cmp.Compare(a.ratio(), b.ratio()) })
	return times[turns/2], wins, nil
}

// timeRuns returns the median time of some runs.
func timeRuns(ctx context.Context, s *engine.Session, in map[string]*tensor.Tensor, runs int) (time.Duration, error) {
	times := make([]time.Duration, runs)
	for i := range times {
		start := time.Now()
		if _, err := s.Run(ctx, in); err != nil {
			return 0, err
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	return times[runs/2], nil
}

// losers lists the nodes of the plan that are slower than in float, the worst first.
func (p *payoff) losers(s *engine.Session, a attempt) ([]loser, error) {
	runs := max(3, min(raceRuns, int(2*raceTime/max(a.ours, 1))))
	ours, err := s.Profile(p.q.ctx, p.in, runs)
	if err != nil {
		return nil, err
	}
	float, err := p.float.Profile(p.q.ctx, p.in, runs)
	if err != nil {
		return nil, err
	}
	if p.mode == plan.Dynamic {
		nameProducts(ours, float)
	}
	labels := map[string]string{}
	for _, n := range p.q.float.Graph.Nodes {
		labels[n.Label()] = plan.NodeName(n)
	}
	quantized := map[string]bool{}
	for _, n := range p.q.plan.Nodes {
		quantized[n.Name] = n.Quantized
	}
	var list []loser
	for _, n := range engine.CompareSteps(ours, float) {
		if name, ok := labels[n.Node]; ok && quantized[name] && n.Loss() > 0 {
			list = append(list, loser{name, fmt.Sprintf("it takes %s on this machine quantized, %s in float", shortTime(n.Time), shortTime(n.Before))})
		}
	}
	return list, nil
}

// nameProducts gives the products of a dynamically quantized network, which have other nodes, the names of
// those in float, where they follow each other in the same order.
func nameProducts(steps, float []engine.StepTime) {
	ours, theirs := products(steps), products(float)
	if len(ours) != len(theirs) {
		return
	}
	for k, i := range ours {
		if steps[i].MACs == float[theirs[k]].MACs {
			steps[i].Node = float[theirs[k]].Node
		}
	}
}

// products returns the places of the steps that multiply and add.
func products(steps []engine.StepTime) (at []int) {
	for i, s := range steps {
		if s.MACs > 0 {
			at = append(at, i)
		}
	}
	return at
}

// shortTime writes a time with three digits.
func shortTime(d time.Duration) string {
	return fmt.Sprintf("%.3g µs", float64(d.Nanoseconds())/1e3)
}

// timingInputs is what the networks are timed on: a sample, or ones of the shapes that the model declares.
func (q *quantization) timingInputs() (map[string]*tensor.Tensor, error) {
	if q.judged() {
		k, err := q.judge.sample(0)
		if err != nil {
			return nil, err
		}
		return k.inputs(), nil
	}
	in := map[string]*tensor.Tensor{}
	for _, v := range q.float.Graph.Required() {
		shape, ok := v.Type.Static()
		if !ok || !v.Type.IsTensor() {
			return nil, fault.Invalidf(fmt.Sprintf("input %q", v.Name), "%s is open, so nodes cannot be timed", v.Type).
				WithHint("give `data`, or another `target` than this")
		}
		in[v.Name] = tensor.New(v.Type.DType, shape...)
	}
	return in, nil
}

// timed says whether the target wants its nodes timed.
func (q *quantization) timed() bool {
	t := q.opt.Settings.Target
	return t != nil && t.Timed && (q.opt.Settings.Mode == plan.Static || q.opt.Settings.Mode == plan.Dynamic)
}

// watched lists the values to observe: those of the plan and, where nodes may be timed and leave it, those around them.
func (q *quantization) watched() []string {
	if q.timed() {
		return q.around()
	}
	return q.plan.Observed()
}

// around lists the values to observe for the plan and for every one with fewer nodes.
func (q *quantization) around() []string {
	list := q.plan.Observed()
	seen := map[string]bool{}
	for _, name := range list {
		seen[name] = true
	}
	planned := map[string]bool{}
	for _, n := range q.plan.Nodes {
		planned[n.Name] = n.Quantized
	}
	for _, n := range q.float.Graph.Nodes {
		if !planned[plan.NodeName(n)] {
			continue
		}
		for _, name := range slices.Concat(n.In, n.Out) {
			f := q.facts[name]
			if name != "" && !seen[name] && q.float.Graph.Const(name) == nil && f.Value == nil && f.IsTensor() && f.DType == tensor.Float32 {
				seen[name] = true
				list = append(list, name)
			}
		}
	}
	return list
}
