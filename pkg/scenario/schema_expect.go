package scenario

import (
	"math"
	"time"
)

// accepted is a field of expect.delivery.
func accepted(key, doc string, place func(*Delivery) *uint64) field {
	return field{key: key, doc: doc, form: "whole number", json: jsonWhole, def: "0",
		take: store(number(0, math.MaxInt64), func(s *draft) *uint64 { return place(&s.Expect.Delivery) })}
}

var expect = field{key: "expect", doc: "what must hold of the run", kind: section, fields: []field{
	{key: "delivery", doc: "how many records of each difference are accepted", kind: section, fields: []field{
		accepted("missing", "sent and not delivered", func(d *Delivery) *uint64 { return &d.Missing }),
		accepted("pipeline_duplicates", "delivered again though sent once", func(d *Delivery) *uint64 { return &d.PipelineDuplicates }),
		accepted("mutated", "delivered with other bytes", func(d *Delivery) *uint64 { return &d.Mutated }),
		accepted("strangers", "delivered as ours and never planned", func(d *Delivery) *uint64 { return &d.Strangers }),
		accepted("misplaced", "delivered below another folder than stages.raw.partition says", func(d *Delivery) *uint64 { return &d.Misplaced }),
		accepted("damaged", "unreadable spans of what was delivered", func(d *Delivery) *uint64 { return &d.Damaged }),
		{key: "lag_p99", doc: "how long at most 99 % of the records may take from being sent to the time of their object, in each stage but dlq", form: "duration", json: jsonDuration,
			take: store(positiveDuration, func(s *draft) *time.Duration { return &s.Expect.Delivery.LagP99 })},
	}},
	{key: "queries", doc: "SQL over this run's rows, by name; a table is a log type or an earlier query of the same stage", kind: named, open: openQuery,
		each: &field{kind: section, fields: []field{
			{key: "sql", doc: "the query", form: "SQL, or file:PATH inside the scenario's folder", required: true, take: takeSQL},
			{key: "equals", doc: "what it gives: a formula, or oracle: the same SQL over the records as planned", form: "a formula or oracle", required: true,
				json: `{"type":["string","number"],"minLength":1}`, take: takeEquals},
			{key: "stage", doc: "whose rows it is asked of; without it, table where stages has one, else raw", form: "raw or table", json: `{"enum":["raw","table"]}`, take: takeQueryStage},
			{key: "tolerance", doc: "how far a number may be off, for all columns or by column", form: "0.005 or 1%", kind: named, filled: true,
				json: `{"type":["number","string"],"minimum":0,"pattern":"^[0-9]+([.][0-9]+)? *%$"}`, open: openTolerance, take: takeToleranceOfAll,
				each: &field{form: "0.005 or 1%", json: `{"type":["number","string"],"minimum":0,"pattern":"^[0-9]+([.][0-9]+)? *%$"}`, take: takeTolerance}},
			{key: "max_seconds", doc: "how long the query may take", form: "number", json: jsonNumber,
				take: store(positiveDecimal, func(s *draft) *Decimal { return &last(s.Expect.Queries).MaxSeconds })},
			{key: "owner", doc: "who is asked when it does not hold", form: "text",
				take: store(plainText, func(s *draft) *string { return &last(s.Expect.Queries).Owner })},
		}}},
}}
