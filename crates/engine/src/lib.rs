//! Containers and their life: the library behind minke's commands.
