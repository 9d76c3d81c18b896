#include "base/listener.h"

namespace slim {

Listener& SilentListener() {
  static Listener listener;
  return listener;
}

}  // namespace slim
