package main

import (
	"cmp"
	"fmt"
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
	ended bool // the stage has come to its end, and may begin again
	start time.Time
	from  int       // what was done of the stage then
	last  time.Time // of an update that was shown, whatever its stage, or of the beginning
}

func (a *app) newProgress() *progress {
	return &progress{a: a, bar: a.terminal() && a.log == "text", last: time.Now()}
}

// Time between two updates: of a bar, and of lines.
const (
	barEvery  = 100 * time.Millisecond
	lineEvery = 10 * time.Second
	rateAfter = time.Second // of a stage: before, nothing can be told of its rate
)

// update is called with the work done so far; it may be called from several goroutines.
func (p *progress) update(stage string, done, total int) {
	if p.a.quiet || total == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if stage != p.stage || p.ended && done < total {
		p.stage, p.start, p.from = stage, now, done
	}
	p.ended = done == total
	every := lineEvery
	if p.bar {
		every = barEvery
	}
	if now.Sub(p.last) < every && !(p.bar && done == total) {
		return
	}
	p.last = now
	rate, left := p.pace(done, total, now)
	if p.bar {
		p.draw(stage, done, total, rate, left)
		return
	}
	text := fmt.Sprintf("%s: %d of %d", stage, done, total)
	about := map[string]any{"stage": stage, "done": done, "total": total}
	if rate > 0 && now.Sub(p.start) >= rateAfter {
		text += fmt.Sprintf(", %.1f/s, %v left", rate, left)
		about["per_second"], about["seconds_left"] = rate, left.Seconds()
	}
	p.a.line("progress", text, about)
}

// pace is how much of the stage is done in a second, and what is left at that; zero where nothing was done since its first
// update, which may come with the end of a first part that nobody has timed.
func (p *progress) pace(done, total int, now time.Time) (rate float64, left time.Duration) {
	if done <= p.from {
		return 0, 0
	}
	rate = float64(done-p.from) / max(now.Sub(p.start).Seconds(), 1e-3)
	return rate, time.Duration(float64(total-done) / rate * float64(time.Second)).Round(time.Second)
}

// barLine is a bar and what it tells, in one line of a terminal of so many columns, or of 80 where that is 0.
func barLine(columns int, stage string, done, total int, rate float64, left time.Duration) string {
	head := fmt.Sprintf("%-10s ", stage)
	tail := fmt.Sprintf(" %d/%d ", done, total)
	if rate > 0 {
		tail = fmt.Sprintf(" %d/%d  %.1f/s  %v left ", done, total, rate, left)
	}
	width := min(30, cmp.Or(columns, 80)-1-len("[]")-len(head)-len(tail))
	if width < 5 { // a line that is wrapped cannot be taken away
		text := fmt.Sprintf("%s%d/%d ", head, done, total)
		if rate > 0 {
			text += fmt.Sprintf(" %v left ", left)
		}
		return text[:min(len(text), max(columns-1, 0))]
	}
	full := width * done / total
	return head + "[" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "]" + tail
}

// clearLine takes a bar away.
const clearLine = "\r\x1b[K"

// clearBar takes the bar away that stands in the terminal's last line, if one does.
func (a *app) clearBar() {
	if a.drawn.Swap(false) {
		fmt.Fprint(a.err, clearLine)
	}
}

// draw replaces the bar on the terminal's last line, and removes it when the work is done.
func (p *progress) draw(stage string, done, total int, rate float64, left time.Duration) {
	p.a.drawn.Store(done < total)
	fmt.Fprint(p.a.err, "\r", barLine(columns(p.a.err), stage, done, total, rate, left))
	if done == total {
		fmt.Fprint(p.a.err, clearLine)
	}
}
