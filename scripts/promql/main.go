// Command promql says what Prometheus would make of scraped metrics: which alerts of a rule file fire, and which selectors
// of rules and dashboards find nothing. The engine and the parsers are those of Prometheus.
//
// It reads one JSON object from standard input and writes one to standard output; see request and answer.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

type request struct {
	// The rule file.
	Rules string `json:"rules"`
	// Further expressions, whose selectors are looked at.
	Expressions []string `json:"expressions"`
	// What was scraped, in order.
	Scrapes []scrape `json:"scrapes"`
	// When the rules are evaluated, in seconds.
	At int64 `json:"at"`
}

type scrape struct {
	// The target of the scrape.
	Instance string `json:"instance"`
	// When, in seconds.
	At int64 `json:"at"`
	// The Content-Type of the answer, and its body.
	ContentType string `json:"content_type"`
	Text        string `json:"text"`
}

type answer struct {
	// All alerts of the rule file.
	Alerts []alert `json:"alerts"`
	// What refers to metrics, labels or values that were not scraped.
	Unknown []string `json:"unknown"`
}

type alert struct {
	Name        string            `json:"name"`
	Fires       bool              `json:"fires"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	var data memory
	for _, scrape := range asked.Scrapes {
		if err := data.add(scrape); err != nil {
			return fmt.Errorf("the scrape of %s at %d: %w", scrape.Instance, scrape.At, err)
		}
	}
	language := parser.NewParser(parser.Options{})
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	groups, errs := rulefmt.ParseFile(asked.Rules, false, model.UTF8Validation, language, quiet)
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1_000_000, Timeout: 10 * time.Second, LookbackDelta: 5 * time.Minute, Parser: language,
	})
	said := answer{Alerts: []alert{}, Unknown: []string{}}
	expressions := asked.Expressions
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			expressions = append(expressions, rule.Expr)
			fires, err := fires(engine, &data, rule.Expr, time.Unix(asked.At, 0))
			if err != nil {
				return fmt.Errorf("the alert %s: %w", rule.Alert, err)
			}
			said.Alerts = append(said.Alerts, alert{
				rule.Alert, fires, rule.For.String(), rule.Labels, rule.Annotations,
			})
		}
	}
	for _, text := range expressions {
		expression, err := language.ParseExpr(text)
		if err != nil {
			return fmt.Errorf("the expression %q: %w", text, err)
		}
		said.Unknown = append(said.Unknown, data.unknown(expression)...)
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}

func fires(engine *promql.Engine, data *memory, expression string, at time.Time) (bool, error) {
	query, err := engine.NewInstantQuery(context.Background(), data, nil, expression, at)
	if err != nil {
		return false, err
	}
	defer query.Close()
	vector, err := query.Exec(context.Background()).Vector()
	return len(vector) > 0, err
}

// memory holds the scraped series.
type memory struct {
	series []*promql.Series
}

func (m *memory) add(scrape scrape) error {
	parsed, err := textparse.New([]byte(scrape.Text), scrape.ContentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return err
	}
	for {
		entry, err := parsed.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var found labels.Labels
		parsed.Labels(&found)
		_, _, value := parsed.Series()
		builder := labels.NewBuilder(found)
		builder.Set("job", "jwtlet").Set("instance", scrape.Instance)
		m.append(builder.Labels(), promql.FPoint{T: scrape.At * 1000, F: value})
	}
}

func (m *memory) append(name labels.Labels, point promql.FPoint) {
	for _, series := range m.series {
		if labels.Equal(series.Metric, name) {
			series.Floats = append(series.Floats, point)
			return
		}
	}
	m.series = append(m.series, &promql.Series{Metric: name, Floats: []promql.FPoint{point}})
}

func (m *memory) matching(matchers []*labels.Matcher) []*promql.Series {
	var found []*promql.Series
	for _, series := range m.series {
		if matches(series.Metric, matchers) {
			found = append(found, series)
		}
	}
	return found
}

func matches(name labels.Labels, matchers []*labels.Matcher) bool {
	for _, matcher := range matchers {
		if !matcher.Matches(name.Get(matcher.Name)) {
			return false
		}
	}
	return true
}

// unknown names the selectors of an expression that find nothing, and the labels that nothing below them has.
func (m *memory) unknown(expression parser.Expr) []string {
	var unknown []string
	has := func(part parser.Node, label string) bool {
		known := false
		parser.Inspect(part, func(node parser.Node, _ []parser.Node) error {
			if selector, ok := node.(*parser.VectorSelector); ok {
				for _, series := range m.matching(selector.LabelMatchers) {
					known = known || series.Metric.Has(label)
				}
			}
			return nil
		})
		return known
	}
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.VectorSelector:
			if len(m.matching(node.LabelMatchers)) == 0 {
				unknown = append(unknown, fmt.Sprintf("%s in %s", node, expression))
				return nil
			}
			for _, matcher := range node.LabelMatchers {
				if !has(node, matcher.Name) {
					unknown = append(unknown, fmt.Sprintf("the label %s of %s", matcher.Name, node))
				}
			}
		case *parser.AggregateExpr:
			for _, label := range node.Grouping {
				if !has(node.Expr, label) {
					unknown = append(unknown, fmt.Sprintf("the label %s in %s", label, node))
				}
			}
		}
		return nil
	})
	return unknown
}

// Querier makes memory what the engine asks.
func (m *memory) Querier(_, _ int64) (storage.Querier, error) {
	return &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			return &set{series: m.matching(matchers), next: 0}
		},
	}, nil
}

type set struct {
	series []*promql.Series
	next   int
}

func (s *set) Next() bool                      { s.next++; return s.next <= len(s.series) }
func (s *set) At() storage.Series              { return promql.NewStorageSeries(*s.series[s.next-1]) }
func (*set) Err() error                        { return nil }
func (*set) Warnings() annotations.Annotations { return nil }
