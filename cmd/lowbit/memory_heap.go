package main

import "runtime/metrics"

// heapMemory is what the Go runtime holds now, in bytes.
func heapMemory() int64 {
	return takenMemory() - runtimeMetric("/memory/classes/heap/released:bytes")
}

// takenMemory is what the Go runtime has taken from the system, given back or not, in bytes.
func takenMemory() int64 { return runtimeMetric("/memory/classes/total:bytes") }

func runtimeMetric(name string) int64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(s[0].Value.Uint64())
}
