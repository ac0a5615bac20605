package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// progress shows how far long work has come: a bar where stderr is a terminal, else a line each
// ten seconds.
type progress struct {
	a     *app
	bar   bool
	mu    sync.Mutex
	stage string
	start time.Time
	last  time.Time
}

// newProgress returns a progress display, or one that shows nothing if the user asked for quiet.
func (a *app) newProgress() *progress {
	f, ok := a.err.(*os.File)
	bar := false
	if ok {
		st, err := f.Stat()
		bar = err == nil && st.Mode()&os.ModeCharDevice != 0
	}
	return &progress{a: a, bar: bar && a.log == "text"}
}

// update is called with the work done so far; it may be called from several goroutines.
func (p *progress) update(stage string, done, total int) {
	if p.a.quiet || total == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if stage != p.stage {
		p.stage, p.start, p.last = stage, now, now
	}
	every := 10 * time.Second
	if p.bar {
		every = 100 * time.Millisecond
	}
	if now.Sub(p.last) < every && !(p.bar && done == total) {
		return
	}
	p.last = now
	rate := float64(done) / max(now.Sub(p.start).Seconds(), 1e-3)
	left := time.Duration(float64(total-done) / max(rate, 1e-9) * float64(time.Second)).Round(time.Second)
	if !p.bar {
		fmt.Fprintf(p.a.err, "%s: %d of %d, %.1f/s, %v left\n", stage, done, total, rate, left)
		return
	}
	const width = 30
	full := width * done / total
	fmt.Fprintf(p.a.err, "\r%-10s [%s%s] %d/%d  %.1f/s  %v left ", stage, strings.Repeat("=", full), strings.Repeat(" ", width-full), done, total, rate, left)
	if done == total {
		fmt.Fprint(p.a.err, "\r\x1b[K")
	}
}
