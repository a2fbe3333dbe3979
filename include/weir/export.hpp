#pragma once

// Symbols are hidden unless marked, in static and shared builds alike.
#define WEIR_API [[gnu::visibility("default")]]
