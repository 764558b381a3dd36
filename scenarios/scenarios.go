// Package scenarios holds the scenarios that kreplay ships.
package scenarios

import "embed"

// FS holds each scenario in a directory of its name.
//
//go:embed smoke social-game
var FS embed.FS

// Names lists the shipped scenarios.
func Names() []string { return []string{"smoke", "social-game"} }
