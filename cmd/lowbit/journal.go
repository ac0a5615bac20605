package main

import (
	"fmt"
	"strings"

	"lowbit/internal/journal"
	"lowbit/internal/repair"
)

// journalSuffix follows the name of an output in that of its journal.
const journalSuffix = ".journal.jsonl"

// A diary is a journal that a run can do without.
type diary struct {
	*journal.Journal
	app  *app
	path string
	lost bool
}

// Keep tells once where nothing can be kept, and lets the work go on.
func (d *diary) Keep(key string, v any) error {
	if err := d.Journal.Keep(key, v); err != nil && !d.lost {
		d.lost = true
		d.app.warn("%v: of this run nothing more is kept to take up", err)
	}
	return nil
}

// openJournal opens what keeps the steps of a run, and says what an earlier run left.
func (q *quantizing) openJournal(work string) (repair.Journal, error) {
	path := q.flags.out + journalSuffix
	d := &diary{app: q.app, path: path}
	q.diary = d
	q.kept.Store(d)
	if !q.flags.resume {
		d.Journal = journal.Begin(path, work)
		return d, nil
	}
	var err error
	if d.Journal, err = journal.Open(path, work); err != nil {
		q.diary = nil
		q.kept.Store(nil)
		return nil, err
	}
	if d.Other() {
		q.say("%s is of other work (another model, data, recipe or program): it is not taken up", path)
	} else if n := d.Found(); n > 0 {
		q.say("taking up an interrupted run: %d steps are kept in %s", n, path)
	}
	return d, nil
}

// removeJournal removes the journal: all is done.
func (q *quantizing) removeJournal() error {
	if q.diary == nil {
		return nil
	}
	q.kept.Store(nil)
	return q.diary.Remove()
}

// closeJournal leaves the journal for another run. What it holds is on the disk already.
func (q *quantizing) closeJournal() {
	if q.diary != nil {
		_ = q.diary.Close()
	}
}

// resumption says how to go on after an interruption.
func (a *app) resumption() string {
	kept := a.kept.Load()
	if kept == nil || kept.Kept() == 0 {
		return "start again with: " + commandLine(a.args)
	}
	var args []string
	for _, arg := range a.args {
		if !strings.HasPrefix(arg, "--resume") {
			args = append(args, arg)
		}
	}
	return fmt.Sprintf("%d steps are kept in %s; go on with: %s", kept.Kept(), kept.path, commandLine(args))
}
