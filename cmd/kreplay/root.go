package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"kreplay/pkg/scenario"
	"kreplay/replay"
)

// Exit statuses: a promise to scripts and to AWS Batch retry rules.
const (
	exitOK           = 0
	exitFailed       = 1   // an expectation or delivery check failed
	exitUsage        = 2   // wrong flags or scenario
	exitError        = 3   // could not work: AWS, disk, network
	exitInconclusive = 4   // nothing is proven
	exitGuard        = 5   // stopped by a guard
	exitInterrupted  = 130 // SIGINT or SIGTERM; what was done is kept
)

// Of the log lines that are alike, logFirst are written in each logTick, then
// one in logThen.
const (
	logTick  = 10 * time.Second
	logFirst = 3
	logThen  = 1000
)

var errUsage = errors.New("usage")

// verdictError carries a verdict that is not pass to the exit status. The
// report has been printed already.
type verdictError struct{ status int }

func (e verdictError) Error() string { return "verdict is not pass" }

// app is what every command shares.
type app struct {
	stdout, stderr io.Writer
	log            *zap.Logger

	region, profile, endpoint string
	progress                  string
	verbose, quiet            bool
	metricsAddr               string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{stdout: stdout, stderr: stderr, log: zap.NewNop()}
	root := a.root() //nolint:contextcheck // cobra hands the context to each command
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	status := statusOf(ctx, err)
	var verdict verdictError
	if err != nil && !errors.As(err, &verdict) {
		fmt.Fprintf(stderr, "kreplay: %v\n", err)
	}
	return status
}

func statusOf(ctx context.Context, err error) int {
	var verdict verdictError
	var faults scenario.Faults
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &verdict):
		return verdict.status
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.Is(err, replay.ErrGuard):
		return exitGuard
	case errors.Is(err, errUsage), errors.As(err, &faults):
		return exitUsage
	default:
		return exitError
	}
}

// usagef is an error of the command line: exit 2.
func usagef(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUsage, fmt.Sprintf(format, args...))
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "kreplay",
		Short: "Replay one user's logs as a million users', and prove what the pipeline delivered",
		Long: `kreplay turns one user's captured action logs into the logs of a million users,
pushes them through a real Kinesis stream, and proves, record by record, what
the ingestion path delivered to the lake.`,
		Example: "  kreplay run smoke --local",
		Version: versionLine(),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			if like := c.SuggestionsFor(args[0]); len(like) > 0 {
				return usagef("unknown command %q; did you mean %s?", args[0], strings.Join(like, " or "))
			}
			return usagef("unknown command %q; see kreplay --help", args[0])
		},
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if err := noneEmpty(c.Flags()); err != nil {
				return err
			}
			return a.start()
		},
	}
	root.SetVersionTemplate("{{.Version}}")
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usagef("%v", err) })
	f := root.PersistentFlags()
	f.StringVar(&a.region, "region", "", "AWS region")
	f.StringVar(&a.profile, "profile", "", "AWS profile")
	f.StringVar(&a.endpoint, "endpoint-url", "", "where the services answer, as in the AWS CLI")
	f.StringVar(&a.progress, "progress", "auto", "progress on stderr: auto, tty, plain, json or none")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "log more to stderr")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "log nothing and show no progress")
	root.AddCommand(a.runCommand(), a.captureCommand(), a.planCommand(), a.genCommand(), a.pushCommand(), a.verifyCommand(),
		a.explainCommand(), a.selftestCommand(),
		a.localCommand(), a.scenarioCommand(), a.versionCommand())
	for _, c := range root.Commands() {
		describeArgs(c)
	}
	return root
}

// describeArgs makes cobra's argument errors usage errors.
func describeArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usagef("%s: %v; see %s --help", cmd.CommandPath(), err, cmd.CommandPath())
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		describeArgs(sub)
	}
}

// noneEmpty refuses a flag whose value is the empty text, unless that says something:
// most often it stands for a variable that is not set, and the default is not meant.
func noneEmpty(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" && f.DefValue == "" && err == nil {
			err = usagef("--%s is empty; give it a value, or leave it out", f.Name)
		}
	})
	return err
}

func (a *app) start() error {
	switch a.progress {
	case "auto", "tty", "plain", "json", "none":
	default:
		return usagef("--progress %q: want auto, tty, plain, json or none", a.progress)
	}
	level := zapcore.WarnLevel
	if a.verbose {
		level = zapcore.DebugLevel
	}
	if !a.quiet {
		enc := zap.NewProductionEncoderConfig()
		enc.EncodeTime = zapcore.ISO8601TimeEncoder
		core := zapcore.NewCore(zapcore.NewConsoleEncoder(enc), zapcore.AddSync(a.stderr), level)
		// A shard that throttles says so a thousand times a second: the first few say enough.
		a.log = zap.New(zapcore.NewSamplerWithOptions(core, logTick, logFirst, logThen))
	}
	return nil
}

// one wants a single argument and says what it is.
func one(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("want one %s, got %q", what, strings.Join(args, " "))
		}
		return nil
	}
}

// some wants one argument or more and says what they are.
func some(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return nil
		}
		return one(what)(c, args)
	}
}
