package engine

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"lowbit/internal/fault"
)

// A crew is a set of threads that help one run at a time. Idle helpers spin for a moment, because
// waking a sleeping thread costs more than most steps, and then sleep.
type crew struct {
	mu      sync.Mutex // held by the run that has the crew
	helpers int
	started bool
	current atomic.Pointer[job]
	asleep  atomic.Int32
	wake    chan struct{}
	quit    chan struct{}
	once    sync.Once
}

// A job is one step of one run, cut into parts. Each thread takes those of its own share one after the
// other, since neighbouring steps cut alike and what it has written is in its own cache, and then helps others.
type job struct {
	step   *step
	frame  *frame
	shares []share
	left   atomic.Int32 // parts that are not done
	err    atomic.Pointer[error]
}

// A share is the parts of a job that one thread has before others take them.
type share struct {
	next atomic.Int32 // first one that nobody has taken
	end  int32
	_    [56]byte // shares of threads lie on lines of their own
}

func newJob(s *step, f *frame, threads int) *job {
	j := &job{step: s, frame: f, shares: make([]share, threads)}
	for i := range j.shares {
		j.shares[i].next.Store(int32(s.parts * i / threads))
		j.shares[i].end = int32(s.parts * (i + 1) / threads)
	}
	j.left.Store(int32(s.parts))
	return j
}

const (
	spinRounds  = 64                     // looks between two offers to let other goroutines run
	spinLimit   = 300 * time.Microsecond // how long a helper looks for work before it sleeps
	clockRounds = 16                     // offers between two looks at the clock
)

func newCrew(threads int) *crew {
	return &crew{helpers: threads - 1, wake: make(chan struct{}, max(threads-1, 1)), quit: make(chan struct{})}
}

// acquire gives the caller the crew if nobody has it. A run that gets none works alone.
func (c *crew) acquire() bool {
	if c.helpers < 1 || !c.mu.TryLock() {
		return false
	}
	if !c.started {
		c.started = true
		for i := range c.helpers {
			go c.help(i + 1)
		}
	}
	return true
}

func (c *crew) release() {
	c.current.Store(nil)
	c.mu.Unlock()
}

// close ends the helpers.
func (c *crew) close() { c.once.Do(func() { close(c.quit) }) }

// do runs all parts of a step and returns the first error.
func (c *crew) do(s *step, f *frame) error {
	j := newJob(s, f, min(c.helpers+1, s.parts))
	c.current.Store(j)
	for n := min(c.asleep.Load(), int32(s.parts)-1); n > 0; n-- {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	j.work(0)
	for i := 1; j.left.Load() > 0; i++ {
		if i%spinRounds == 0 {
			runtime.Gosched()
		}
	}
	if e := j.err.Load(); e != nil {
		return *e
	}
	return nil
}

// work takes parts until none is left: those of a thread's share, then the others'.
func (j *job) work(thread int) {
	for i := range j.shares {
		s := &j.shares[(thread+i)%len(j.shares)]
		for {
			part := s.next.Add(1) - 1
			if part >= s.end {
				break
			}
			if err := j.step.part(j.frame, int(part)); err != nil {
				j.err.CompareAndSwap(nil, &err)
			}
			j.left.Add(-1)
		}
	}
}

// help is the life of one helper.
func (c *crew) help(thread int) {
	var last *job
	for {
		j := c.await(last)
		if j == nil {
			return
		}
		j.work(thread)
		last = j
	}
}

// await returns the next job after last, or nil once the crew is closed.
func (c *crew) await(last *job) *job {
	var start time.Time
	for i := 1; ; i++ {
		if j := c.current.Load(); j != nil && j != last {
			return j
		}
		if i%spinRounds != 0 {
			continue
		}
		runtime.Gosched()
		if i%(spinRounds*clockRounds) != 0 {
			continue
		}
		if start.IsZero() {
			start = time.Now()
		} else if time.Since(start) > spinLimit {
			if !c.sleep(last) {
				return nil
			}
			start = time.Time{}
		}
	}
}

// sleep waits to be woken; it returns false once the crew is closed.
func (c *crew) sleep(last *job) bool {
	c.asleep.Add(1)
	defer c.asleep.Add(-1)
	if j := c.current.Load(); j != nil && j != last {
		return true // it came between the last look and the count
	}
	select {
	case <-c.wake:
		return true
	case <-c.quit:
		return false
	}
}

// part runs one part of s; a panic becomes an error.
func (s *step) part(f *frame, i int) (err error) {
	defer fault.Trap()()
	defer func() {
		if r := recover(); r != nil {
			err = fault.Recovered(s.label(), r)
		}
	}()
	return s.run(f, i)
}
