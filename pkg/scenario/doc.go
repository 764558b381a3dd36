// Package scenario reads scenario.yaml: strict, every fault at once and with its place.
package scenario
