package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/spf13/cobra"

	"kreplay/replay"
)

// addMetrics is for the commands that send.
func (a *app) addMetrics(c *cobra.Command) {
	c.Flags().StringVar(&a.metricsAddr, "metrics-addr", "", "serve Prometheus metrics of the push at this loopback address, as in 127.0.0.1:9464")
}

// monitored returns what observes a push: who shows its progress and, where
// --metrics-addr asks for it, a server of metrics, which stop ends.
func (a *app) monitored(ctx context.Context) (observe func(replay.Progress), stop func(), err error) {
	show := a.observer()
	if a.metricsAddr == "" {
		return show, func() {}, nil
	}
	l, err := listenLoopback(ctx, "--metrics-addr", a.metricsAddr)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(a.stderr, "metrics on http://%s/metrics\n", l.Addr())
	var last atomic.Pointer[replay.Progress]
	last.Store(&replay.Progress{})
	set := gauges(&last)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		set.WritePrometheus(w)
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	var served sync.WaitGroup
	served.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintf(a.stderr, "kreplay: metrics: %v\n", err)
		}
	})
	observe = func(p replay.Progress) {
		last.Store(&p)
		addStreams(set, &last, p.Streams)
		if show != nil {
			show(p)
		}
	}
	return observe, func() { _ = srv.Close(); served.Wait() }, nil
}

// gauges are what is known of a push. Totals are gauges too: they are of one
// run, and begin at 0 with the next.
func gauges(last *atomic.Pointer[replay.Progress]) *metrics.Set {
	set := metrics.NewSet()
	for name, value := range map[string]func(replay.Progress) float64{
		"kreplay_push_records_planned":           func(p replay.Progress) float64 { return float64(p.Total) },
		"kreplay_push_records_acked":             func(p replay.Progress) float64 { return float64(p.Done) },
		"kreplay_push_bytes_acked":               func(p replay.Progress) float64 { return float64(p.Bytes) },
		"kreplay_push_attempts_refused":          func(p replay.Progress) float64 { return float64(p.Refused) },
		"kreplay_push_attempts_unknown":          func(p replay.Progress) float64 { return float64(p.Unknown) },
		"kreplay_push_throttled_ratio":           func(p replay.Progress) float64 { return p.Throttled },
		"kreplay_push_wanted_records_per_second": func(p replay.Progress) float64 { return p.Wanted },
		"kreplay_push_slip_p99_seconds":          func(p replay.Progress) float64 { return p.Slip.Seconds() },
		"kreplay_push_elapsed_seconds":           func(p replay.Progress) float64 { return p.Elapsed.Seconds() },
	} {
		set.NewGauge(name, func() float64 {
			if p := last.Load(); p.Phase == replay.PhasePush {
				return value(*p)
			}
			return 0
		})
	}
	for _, phase := range []replay.Phase{replay.PhasePush, replay.PhaseSettle, replay.PhaseVerify} {
		set.NewGauge(fmt.Sprintf(`kreplay_phase{phase=%q}`, phase), func() float64 {
			if last.Load().Phase == phase {
				return 1
			}
			return 0
		})
	}
	return set
}

// addStreams adds gauges of each of several streams, when they are first seen.
func addStreams(set *metrics.Set, last *atomic.Pointer[replay.Progress], list []replay.StreamProgress) {
	for i, s := range list { // by name, the same in each report of a push
		for name, value := range map[string]func(replay.StreamProgress) float64{
			"kreplay_push_stream_records_acked":    func(s replay.StreamProgress) float64 { return float64(s.Acked) },
			"kreplay_push_stream_bytes_acked":      func(s replay.StreamProgress) float64 { return float64(s.Bytes) },
			"kreplay_push_stream_attempts_refused": func(s replay.StreamProgress) float64 { return float64(s.Refused) },
			"kreplay_push_stream_attempts_unknown": func(s replay.StreamProgress) float64 { return float64(s.Unknown) },
			"kreplay_push_stream_throttled_ratio":  func(s replay.StreamProgress) float64 { return s.Throttled },
			"kreplay_push_stream_slip_p99_seconds": func(s replay.StreamProgress) float64 { return s.Slip.Seconds() },
		} {
			set.GetOrCreateGauge(fmt.Sprintf(`%s{stream=%q}`, name, s.Stream), func() float64 {
				if p := last.Load(); i < len(p.Streams) {
					return value(p.Streams[i])
				}
				return 0
			})
		}
	}
}
