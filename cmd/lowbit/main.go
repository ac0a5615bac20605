// Command lowbit quantizes neural networks and runs them. See lowbit help.
package main

import "os"

func main() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
