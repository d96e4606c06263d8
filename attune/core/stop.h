// Ctrl-C and SIGTERM: the first asks to save and leave, the second leaves at once.
#pragma once

namespace attune {

/// From now on SIGINT and SIGTERM set a flag; a second one ends the process with status 130.
void catch_stop_signals();

/// Whether a stop was asked for. Read once a step.
bool stop_requested();

}  // namespace attune
