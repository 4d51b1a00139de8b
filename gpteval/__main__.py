from gpteval.cli import main

main()
