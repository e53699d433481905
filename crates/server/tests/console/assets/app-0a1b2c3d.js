console.log("a console for tests");
