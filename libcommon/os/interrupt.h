// SIGINT, SIGTERM and SIGHUP as a flag that work polls between tensors: destructors then discard
// what was begun, and cli re-raises the signal, so that the parent sees death by signal. A second
// signal kills at once.
#pragma once

#include "base/result.h"

namespace slim {

void InstallInterruptHandlers();
// The signal that arrived, or 0.
int InterruptSignal();
// An error with code kCancelled once a signal has arrived.
Status CheckInterrupt();
// From here on CheckInterrupt() lets work go on, for programs that finish it first; they ask
// InterruptSignal() themselves.
void DeferInterrupts();
// Restores the default action and raises the signal that arrived.
[[noreturn]] void DieOfInterrupt();

}  // namespace slim
