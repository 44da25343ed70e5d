"use strict";
for (const swipe of document.querySelectorAll(".swipe")) {
  const slider = swipe.querySelector("input");
  const frame = swipe.querySelector(".frame");
  const move = () => frame.style.setProperty("--at", slider.value + "%");
  const point = (event) => {
    const box = frame.getBoundingClientRect();
    slider.value = (100 * (event.clientX - box.left)) / box.width;
    move();
  };
  slider.addEventListener("input", move);
  frame.addEventListener("pointerdown", (event) => {
    frame.setPointerCapture(event.pointerId);
    point(event);
    slider.focus({ preventScroll: true });
    event.preventDefault();
  });
  frame.addEventListener("pointermove", (event) => {
    if (event.buttons) point(event);
  });
  move();
}
for (const plane of document.querySelectorAll(".plane")) {
  for (const frame of plane.querySelectorAll(".frame")) {
    frame.addEventListener("pointermove", (event) => {
      if (event.buttons) return; // it swipes
      const box = frame.getBoundingClientRect();
      plane.style.setProperty("--x", (100 * (event.clientX - box.left)) / box.width + "%");
      plane.style.setProperty("--y", (100 * (event.clientY - box.top)) / box.height + "%");
    });
  }
}
const enlarge = document.getElementById("enlarge");
enlarge.addEventListener("input", () => document.body.style.setProperty("--enlarge", enlarge.value));
const voxels = document.getElementById("voxels");
voxels.addEventListener("change", () => document.body.classList.toggle("voxels", voxels.checked));
