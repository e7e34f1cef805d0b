// Light and dark: as the system says, until somebody says otherwise.

const CHOICES = ["auto", "light", "dark"];

export function setUpTheme(button) {
  const root = document.documentElement;
  let choice = "auto";
  const show = () => {
    if (choice === "auto") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", choice);
    button.textContent = `Theme: ${choice}`;
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
    show();
  });
  show();
}
