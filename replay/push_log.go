package replay

import (
	"time"

	"go.uber.org/zap"

	"kreplay/pkg/batch"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// report logs what did not go well with a request: a throttle is no news, a
// fate that is unknown is a warning. Who leaves out repeats of a message, as kreplay
// does, still hears of another code: it stands in the message.
func (p *push) report(r *batch.Request, outs []record.Outcome, took time.Duration) {
	var refused, unknown int
	var why *record.Outcome
	for i := range outs {
		switch outs[i].Fate {
		case record.Refused:
			refused++
		case record.Unknown:
			unknown++
		case record.Acked, record.Unsent:
			continue
		}
		if why == nil || outs[i].Fate == record.Unknown && why.Fate != record.Unknown {
			why = &outs[i]
		}
	}
	if why == nil {
		return
	}
	log := p.flows[r.Stream].log
	fields := []zap.Field{
		zap.Int("records", len(r.Recs)), zap.Int("refused", refused), zap.Int("unknown", unknown),
		zap.String("code", why.Code), zap.Duration("took", took), zap.Error(why.Err),
	}
	switch {
	case unknown > 0:
		log.Warn("records may or may not be stored; they are accounted for as unknown: "+why.Code, fields...)
	case stream.Throttled(why.Code):
		log.Debug("records were throttled: "+why.Code, fields...)
	default:
		log.Info("records were refused: "+why.Code, fields...)
	}
}
