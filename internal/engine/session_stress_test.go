package engine

import (
	"flag"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lowbit/internal/tensor"
)

// stress is how long [TestStress] runs; a minute or more by hand.
var stress = flag.Duration("stress", 300*time.Millisecond, "how long the stress test runs")

// A strained is a session with the only answer it may give.
type strained struct {
	k    *maker
	s    *Session
	want string
}

// TestStress runs many sessions of all levels at once, from more goroutines than there are processors,
// while memory is collected without pause, the number of processors changes, which stops every thread,
// and sessions come and go. Every answer must be the first one.
func TestStress(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	sessions := strainedSessions(t)
	end := time.Now().Add(*stress)
	var runs atomic.Int64
	var wg sync.WaitGroup
	for g := range 6 {
		rng := rand.New(rand.NewPCG(uint64(g), 5))
		wg.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				c := sessions[rng.IntN(len(sessions))]
				if rng.IntN(8) == 0 {
					c.passing(t)
				} else {
					c.check(t, c.s)
				}
				runs.Add(1)
			}
		})
	}
	wg.Go(func() { disturb(end) })
	wg.Wait()
	t.Logf("%d runs of %d sessions", runs.Load(), len(sessions))
}

// disturb collects garbage, and stops all threads to change how many there are.
func disturb(end time.Time) {
	for n := 0; time.Now().Before(end); n++ {
		runtime.GC()
		runtime.GOMAXPROCS(1 + n%5)
		time.Sleep(time.Millisecond)
	}
}

// strainedSessions compiles integer and float networks on every level with one and more threads.
func strainedSessions(t *testing.T) (list []strained) {
	for seed := range uint64(6) {
		for i, level := range levels() {
			for _, k := range []*maker{grown(seed, 40, 4), grownFloat(seed)} {
				s := k.compile(t, Options{Threads: 1 + (i+int(seed))%4, Level: &level})
				list = append(list, strained{k, s, k.bytesOf(t, runs{level, 1})})
			}
		}
	}
	return list
}

// passing checks a session of its own, which ends at once.
func (c strained) passing(t *testing.T) {
	s, err := Compile(c.k.m, c.s.opt)
	if err != nil {
		t.Error(err)
		return
	}
	defer s.Close()
	c.check(t, s)
}

func (c strained) check(t *testing.T, s *Session) {
	out, err := s.Run(t.Context(), c.k.in)
	if err != nil {
		t.Error(err)
		return
	}
	if got := c.k.joined(out); got != c.want {
		t.Errorf("%v with %d threads: another answer than the first, from byte %d of %d on", s.level, s.opt.Threads, firstDifference(got, c.want), len(c.want))
	}
	for _, t := range out {
		soil(t.Raw)
	}
	tensor.Recycle(out)
}

// soil leaves in memory what no run may take for its own.
func soil(b []byte) {
	for i := range b {
		b[i] = 0xA5
	}
}
