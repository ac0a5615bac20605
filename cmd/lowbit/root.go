package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lowbit/internal/fault"
)

// An app is one run of the program.
type app struct {
	in      io.Reader
	out     *stdout
	err     io.Writer
	args    []string
	started bool                  // a verb has begun to work
	unknown error                 // help was asked for on a command that there is not
	kept    atomic.Pointer[diary] // of what is done, if anything is
	told    sync.Once             // how the run ended
	drawn   atomic.Bool           // a bar stands in the terminal's last line
	ctx     context.Context
	cancel  context.CancelCauseFunc

	json    bool
	threads int
	seed    uint64
	memory  size
	model   size // most bytes of a model file
	links   bool // external data may have further names
	force   bool
	quiet   bool
	verbose bool
	log     string
}

// A verb is one command: a row in verbs, a file of its own.
type verb func(a *app) *cobra.Command

// verbs lists the commands in the order that help prints them.
var verbs = []verb{demoCmd, quantizeCmd, evalCmd, compareCmd, doctorCmd, inspectCmd, checkCmd, runCmd, conformCmd, benchCmd, reportCmd,
	recipeCmd, formatsCmd, targetsCmd, versionCmd, completionCmd, manCmd}

// Main runs the program with the given arguments and returns its exit status.
func Main(args []string, in io.Reader, out, stderr io.Writer) (code int) {
	a := &app{in: in, out: &stdout{w: out}, err: stderr, args: args}
	defer fault.Trap()()
	defer func() {
		if p := recover(); p != nil {
			code = a.crashed(p, debug.Stack())
		}
	}()
	a.ctx, a.cancel = context.WithCancelCause(context.Background())
	defer a.cancel(nil)
	defer a.heedSignals()()
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(a.ctx)
	if err = cmp.Or(err, a.unknown); err != nil && !a.started {
		_ = fromEnvironment(cmd) // how errors are written; the mistake on the command line comes first
	}
	return a.finish(cmp.Or(err, a.out.failed)) // of help nothing else tells
}

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ sig syscall.Signal }

func (i interrupted) Error() string {
	return fmt.Sprintf("interrupted by signal %d (%s)", int(i.sig), i.sig)
}

// code is the exit status that shells know for the signal.
func (i interrupted) code() int { return 128 + int(i.sig) }

// patience is how long work may go on once a signal asked for its end. Outputs appear whole or not at all, and what is
// kept is on the disk, so that no work has to come to an end.
const patience = 1500 * time.Millisecond

// heedSignals lets the first SIGINT or SIGTERM end the context, and the second, or time, the process. The
// function that it returns undoes that.
func (a *app) heedSignals() (undo func()) {
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		var late <-chan time.Time
		var first interrupted
		for n := 0; ; n++ {
			select {
			case <-late:
				os.Exit(a.finish(first))
			case s := <-c:
				sig, _ := s.(syscall.Signal)
				if n > 0 {
					os.Exit(interrupted{sig}.code())
				}
				first, late = interrupted{sig}, time.After(patience)
				a.cancel(first)
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(c); close(done) }
}

// root returns the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "lowbit",
		Short: "Quantize neural networks and run them",
		Long: "lowbit makes a trained ONNX network smaller and faster, says what that costs, and runs the result.\n\n" +
			"A flag that is not given takes its value from a variable: --max-memory from LOWBIT_MAX_MEMORY. LOWBIT_CPU caps the\n" +
			"instruction set (generic, avx2, avxvnni, avx512, vnni, amx), and NO_COLOR leaves colours out.",
		Example: "  lowbit demo\n  lowbit quantize model.onnx -o model.int8.onnx --data calib/",
		Args:    knownCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			if told, _ := cmd.Flags().GetBool("version"); told {
				return versionCmd(a).RunE(cmd, args)
			}
			return cmd.Help()
		},
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) },
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.Flags().Bool("version", false, "print the version, as lowbit version does")
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print one JSON document")
	f.IntVar(&a.threads, "threads", runtime.NumCPU(), "threads to use")
	f.Uint64Var(&a.seed, "seed", 0, "seed of everything random")
	f.Var(&a.memory, "max-memory", "most memory to use, such as 8GiB (default 75 % of what there is)")
	f.Var(&a.model, "max-model", "most bytes of a model file, without its external data, such as 8GiB (default 8GiB)")
	f.BoolVar(&a.links, "allow-hardlinks", false, "take external data that have further names (hard links)")
	f.BoolVar(&a.force, "force", false, "replace outputs that exist")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "print results, warnings and errors only")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "print more")
	f.StringVar(&a.log, "log-format", "text", "text or json, of what goes to stderr")
	root.SetFlagErrorFunc(a.flagError)
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate(usageTemplate)
	cobra.AddTemplateFunc("flags", a.flagUsages)
	root.SetHelpCommand(helpCmd(root))
	a.helpOnKnown(root)
	for _, v := range verbs {
		root.AddCommand(v(a))
	}
	completeWords(root)
	return root
}

// maxThreads bounds --threads: more would cost memory and gain nothing.
const maxThreads = 1024

// prepare checks what all commands share, once flags and environment are known.
func (a *app) prepare(cmd *cobra.Command) error {
	if err := fromEnvironment(cmd); err != nil {
		return err
	}
	if err := oneOf("--log-format", a.log, "text", "json"); err != nil {
		a.log = "text"
		return err
	}
	if a.threads < 1 || a.threads > maxThreads {
		return fault.Invalidf("--threads", "%d is not within 1 and %d", a.threads, maxThreads)
	}
	a.started = true
	return a.limitMemory()
}

// stdout is where data goes. Failures to write count as those of a file.
type stdout struct {
	w       io.Writer
	written bool
	failed  error // of the first write that did
}

func (s *stdout) Write(b []byte) (int, error) {
	s.written = s.written || len(b) > 0
	n, err := s.w.Write(b)
	if errors.Is(err, syscall.ENOSPC) {
		err = fault.Limitf("stdout", "the disk is full")
	} else if err != nil {
		err = fault.IOf("stdout", err)
	}
	s.failed = cmp.Or(s.failed, err)
	return n, err
}

// cause returns why the work was stopped from outside, or nil.
func (a *app) cause() error {
	if cause := context.Cause(a.ctx); cause != context.Canceled {
		return cause
	}
	return nil
}

// signalled returns the signal that ended the work, if one did.
func signalled(err error) (interrupted, bool) {
	var i interrupted
	return i, errors.As(err, &i)
}

// version is the version that the binary was built as.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// platform names the Go release and the machine that the binary is for.
func platform() string {
	return fmt.Sprintf("%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
