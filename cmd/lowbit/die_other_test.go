//go:build !unix

package main

// dieMain is lowbit where processes cannot be killed at a step.
func dieMain() { main() }
