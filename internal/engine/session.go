package engine

import (
	"context"
	"fmt"
	"time"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Options change how a model is compiled. The zero value is right for most uses.
type Options struct {
	Threads   int           // how many threads one run may use; 0 means one for each CPU
	Level     *kernel.Level // greatest instruction set to use; nil means the best this machine has
	Watch     []string      // values that [Session.RunWatch] shows; fusion leaves them observable
	Seed      uint64        // of the random operators
	Reference bool          // evaluate node after node by the operators' definitions, without compiling
}

// A Session runs one model. Its methods may be called from several goroutines at once.
type Session struct {
	model *graph.Model
	opt   Options
}

// Compile prepares a model. It does not change m, but keeps its tensors, which must not change while
// the session lives. Where the declared input shapes are static it compiles for them at once; other
// shapes compile on the first run that has them.
func Compile(m *graph.Model, opt Options) (*Session, error) {
	return &Session{model: m, opt: opt}, nil
}

// Inputs lists what a caller has to feed.
func (s *Session) Inputs() []*graph.Value { return s.model.Graph.Required() }

// Outputs lists what a run returns.
func (s *Session) Outputs() []*graph.Value { return s.model.Graph.Out }

// Run evaluates the model. It returns every output by name; they belong to the caller.
func (s *Session) Run(ctx context.Context, in map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	return s.RunWatch(ctx, in, nil)
}

// RunWatch is [Session.Run] that also shows each value of Options.Watch, as soon as it exists, with the
// shape and element order that ONNX gives it. A shown tensor is valid until watch returns.
func (s *Session) RunWatch(ctx context.Context, in map[string]*tensor.Tensor, watch func(name string, t *tensor.Tensor)) (map[string]*tensor.Tensor, error) {
	return s.reference(ctx, in, watch)
}

func (s *Session) reference(ctx context.Context, in map[string]*tensor.Tensor, watch func(string, *tensor.Tensor)) (map[string]*tensor.Tensor, error) {
	wanted := map[string]bool{}
	for _, name := range s.opt.Watch {
		wanted[name] = true
	}
	opt := op.Options{Seed: s.opt.Seed, Context: ctx}
	if watch != nil {
		opt.Watch = func(name string, t *tensor.Tensor) {
			if wanted[name] {
				watch(name, t)
			}
		}
	}
	return op.Run(s.model, in, opt)
}

// A StepTime tells what one step of a compiled program is and how long it took.
type StepTime struct {
	Node   string        // label of the ONNX node it stands for, or of the last of several
	Op     string        // its operator, such as "Conv"
	Kernel string        // what computes it, such as "conv u8s8 1x1 vnni"
	Out    string        // shape of the first result, as ONNX orders it
	MACs   int64         // multiply-adds; 0 where they are not counted
	Time   time.Duration // median over the runs
}

// Profile runs the model some times and returns the time of each step, in order.
func (s *Session) Profile(ctx context.Context, in map[string]*tensor.Tensor, runs int) ([]StepTime, error) {
	if runs < 1 {
		return nil, fault.Invalidf("profile", "needs at least one run, not %d", runs)
	}
	start := time.Now()
	for range runs {
		if _, err := s.Run(ctx, in); err != nil {
			return nil, err
		}
	}
	return []StepTime{{Node: fmt.Sprintf("graph %q", s.model.Graph.Name), Kernel: "reference", Time: time.Since(start) / time.Duration(runs)}}, nil
}

// Close frees the session's threads. A session that is not closed frees them when it is collected.
func (s *Session) Close() {}
