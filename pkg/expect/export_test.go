package expect

import "kreplay/pkg/scenario"

// GamePlan gives the tests that need an engine the plan of those that do not.
var GamePlan = plan

// ToleranceOf is an absolute bound of digits / 10^scale.
func ToleranceOf(digits uint64, scale int) Tolerance {
	return NewTolerance(scenario.Tolerance{Amount: scenario.Decimal{Digits: digits, Scale: scale}})
}
