#include "os/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <initializer_list>

namespace slim {
namespace {

volatile sig_atomic_t g_signal = 0;
std::atomic<bool> g_deferred = false;

extern "C" void OnSignal(int signal) {
  if (g_signal != 0) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);
    return;
  }
  g_signal = signal;
}

}  // namespace

void InstallInterruptHandlers() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction old = {};
    // A shell that started us with a signal ignored (nohup) means it.
    if (::sigaction(signal, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) continue;
    ::sigaction(signal, &action, nullptr);
  }
  ::signal(SIGXFSZ, SIG_IGN);  // so that EFBIG is reported as an error
}

int InterruptSignal() { return g_signal; }

Status CheckInterrupt() {
  if (g_signal == 0 || g_deferred) return {};
  Error error;
  error.code = ErrorCode::kCancelled;
  error.message = "interrupted";
  return error;
}

void DeferInterrupts() { g_deferred = true; }

void DieOfInterrupt() {
  const int signal = g_signal == 0 ? SIGTERM : g_signal;
  ::signal(signal, SIG_DFL);
  ::raise(signal);
  ::_exit(128 + signal);
}

}  // namespace slim
